-- A page of templates is read along an index. Under row-level security a condition on lower(name) is not taken to one, for
-- lower() might tell of rows that the policy hides; one on a column is.
alter table templates add column name_in_order text generated always as (lower(name)) stored;
comment on column templates.name_in_order is 'What lists are ordered by.';
create index templates_in_order on templates (district_id, name_in_order);
