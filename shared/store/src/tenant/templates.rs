//! Message templates: what messages are begun from.

use chrono::{DateTime, Utc};
use tocsin_domain::Channel;
use tocsin_domain::audience::Audience;
use tocsin_domain::content::Content;
use uuid::Uuid;

use super::{Tenant, to_json};
use crate::{StoreError, row};

/// A validated template.
#[derive(Debug, Clone, PartialEq)]
pub struct TemplateContent {
    pub name: String,
    pub message_type: String,
    pub subject: String,
    pub channels: Vec<Channel>,
    pub contents: Vec<Content>,
    /// None: whoever uses it chooses.
    pub audience: Option<Audience>,
}

#[derive(Debug, Clone)]
pub struct Template {
    pub id: Uuid,
    pub version: i32,
    pub content: TemplateContent,
    pub created_by: String,
    pub created_at: DateTime<Utc>,
    pub modified_by: Option<String>,
    pub modified_at: Option<DateTime<Utc>>,
}

/// What a write came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    Done,
    /// Another template of the district has the name.
    NameTaken,
    /// It has another version by now, or is gone.
    Moved,
}

impl Tenant {
    pub async fn create_template(
        &self,
        id: Uuid,
        content: &TemplateContent,
        by: &str,
        now: DateTime<Utc>,
    ) -> Result<Written, StoreError> {
        const NAME: &str = "create_template";
        let channels: Vec<i16> = content.channels.iter().map(|channel| channel.number()).collect();
        let contents = to_json(NAME, &content.contents)?;
        let audience = content.audience.as_ref().map(|audience| to_json(NAME, audience)).transpose()?;
        let rows = self
            .rows(
                NAME,
                CREATE_TEMPLATE,
                &[
                    &self.district.0,
                    &id,
                    &content.name,
                    &content.message_type,
                    &content.subject,
                    &channels,
                    &contents,
                    &audience,
                    &by,
                    &now,
                ],
            )
            .await?;
        Ok(if rows.is_empty() { Written::NameTaken } else { Written::Done })
    }

    /// Replaces a template, if it still has this version.
    pub async fn replace_template(
        &self,
        id: Uuid,
        version: i32,
        content: &TemplateContent,
        by: &str,
        now: DateTime<Utc>,
    ) -> Result<Written, StoreError> {
        const NAME: &str = "replace_template";
        let channels: Vec<i16> = content.channels.iter().map(|channel| channel.number()).collect();
        let contents = to_json(NAME, &content.contents)?;
        let audience = content.audience.as_ref().map(|audience| to_json(NAME, audience)).transpose()?;
        let rows = self
            .rows(
                NAME,
                REPLACE_TEMPLATE,
                &[
                    &self.district.0,
                    &id,
                    &content.name,
                    &content.message_type,
                    &content.subject,
                    &channels,
                    &contents,
                    &audience,
                    &by,
                    &now,
                    &version,
                ],
            )
            .await;
        match rows {
            Ok(rows) if rows.is_empty() => Ok(Written::Moved),
            Ok(_) => Ok(Written::Done),
            Err(error) if error.is_taken() => Ok(Written::NameTaken),
            Err(error) => Err(error),
        }
    }

    /// False: there was none.
    pub async fn delete_template(&self, id: Uuid, by: &str, now: DateTime<Utc>) -> Result<bool, StoreError> {
        let rows = self.rows("delete_template", DELETE_TEMPLATE, &[&self.district.0, &id, &by, &now]).await?;
        Ok(!rows.is_empty())
    }

    pub async fn template(&self, id: Uuid) -> Result<Option<Template>, StoreError> {
        let sql = "-- store.template
                   select * from templates where district_id = $1 and id = $2";
        let rows = self.rows("template", sql, &[&self.district.0, &id]).await?;
        rows.first().map(|found| read("template", found)).transpose()
    }

    /// A page in the order of names.
    pub async fn templates(
        &self,
        after: Option<&str>,
        templates_max: u32,
    ) -> Result<Vec<Template>, StoreError> {
        let most = i64::from(templates_max);
        let rows = self.rows("templates", TEMPLATES, &[&self.district.0, &after, &most]).await?;
        rows.iter().map(|found| read("templates", found)).collect()
    }
}

fn read(name: &'static str, found: &tokio_postgres::Row) -> Result<Template, StoreError> {
    let audience: Option<serde_json::Value> = found.get("audience");
    Ok(Template {
        id: found.get("id"),
        version: found.get("version"),
        content: TemplateContent {
            name: found.get("name"),
            message_type: found.get("message_type"),
            subject: found.get("subject"),
            channels: found
                .get::<_, Vec<i16>>("channels")
                .into_iter()
                .map(|number| row::channel(name, number))
                .collect::<Result<_, _>>()?,
            contents: row::from_json(name, "contents", found.get("contents"))?,
            audience: audience.map(|audience| row::from_json(name, "an audience", audience)).transpose()?,
        },
        created_by: found.get("created_by"),
        created_at: found.get("created_at"),
        modified_by: found.get("modified_by"),
        modified_at: found.get("modified_at"),
    })
}

const CREATE_TEMPLATE: &str = "-- store.create_template
with made as (
  insert into templates (district_id, id, name, message_type, subject, channels, contents, audience, created_by,
    created_at)
  values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
  on conflict (district_id, lower(name)) do nothing
  returning id
), audited as (
  insert into audit (district_id, at, actor, action, subject) select $1, $10, $9, 'template.create', id::text from made
)
select id from made";

const REPLACE_TEMPLATE: &str = "-- store.replace_template
with kept as (
  update templates set version = version + 1, name = $3, message_type = $4, subject = $5, channels = $6,
    contents = $7, audience = $8, modified_by = $9, modified_at = $10
  where district_id = $1 and id = $2 and version = $11
  returning id
), audited as (
  insert into audit (district_id, at, actor, action, subject) select $1, $10, $9, 'template.edit', id::text from kept
)
select id from kept";

const DELETE_TEMPLATE: &str = "-- store.delete_template
with gone as (
  delete from templates where district_id = $1 and id = $2 returning id, name
), audited as (
  insert into audit (district_id, at, actor, action, subject, details)
  select $1, $4, $3, 'template.delete', id::text, jsonb_build_object('name', name) from gone
)
select id from gone";

pub(crate) const TEMPLATES: &str = "-- store.templates
select * from templates
where district_id = $1 and name_in_order > coalesce(lower($2::text), '')
order by name_in_order
limit $3";
