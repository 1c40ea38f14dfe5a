//! Why a store method could not answer.

use tokio_postgres::error::SqlState;

/// The operation that failed, with its cause.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("database address {0}: use postgres://user@host:5432/database")]
    Address(String, #[source] tokio_postgres::Error),
    #[error("no database connection")]
    Connect(#[source] deadpool_postgres::PoolError),
    #[error("cannot build the connection pool")]
    Pool(#[from] deadpool_postgres::BuildError),
    #[error("cannot migrate the schema")]
    Migrate(#[source] refinery::Error),
    #[error(
        "the database's schema is version {found}, this program needs {needed}: run `tocsin migrate` with the newest program"
    )]
    SchemaVersion { found: i32, needed: i32 },
    /// PostgreSQL's own words are part of the text: the library's say no more than "db error". They name
    /// columns and constraints; rows' values are in its detail, which is left out.
    #[error("store.{statement} failed: {}", words(source))]
    Statement {
        statement: &'static str,
        #[source]
        source: tokio_postgres::Error,
    },
    #[error("store.{statement} read {what} that this program does not know: {value}")]
    Unreadable { statement: &'static str, what: &'static str, value: String },
    #[error("store.{statement}: {rows} rows kept moving under it")]
    Contended { statement: &'static str, rows: usize },
    #[error("the directory changed after the delivery was compared with it: compare it again")]
    DirectoryMoved,
    #[error(
        "campaign key {key:?} was used before for another campaign: use a new key, or send the same body"
    )]
    KeyReused { key: String },
}

fn words(source: &tokio_postgres::Error) -> String {
    match source.as_db_error() {
        Some(error) => format!("{} ({})", error.message(), error.code().code()),
        None => source.to_string(),
    }
}

impl StoreError {
    /// For `map_err` on a statement, named as in its first line.
    pub(crate) fn statement(statement: &'static str) -> impl FnOnce(tokio_postgres::Error) -> Self {
        move |source| Self::Statement { statement, source }
    }

    /// Did somebody hold a row or a table for longer than the statement would wait?
    pub fn is_lock_held(&self) -> bool {
        matches!(self, Self::Statement { source, .. } if source.code() == Some(&SqlState::LOCK_NOT_AVAILABLE))
    }

    /// Was a value not to be taken, because another row has it?
    pub(crate) fn is_taken(&self) -> bool {
        matches!(self, Self::Statement { source, .. } if source.code() == Some(&SqlState::UNIQUE_VIOLATION))
    }

    /// Is it that the database's disk has no room left?
    pub fn is_disk_full(&self) -> bool {
        matches!(self, Self::Statement { source, .. } if source.code() == Some(&SqlState::DISK_FULL))
    }

    /// Is the database out of reach, so that the same call may succeed later?
    pub fn is_outage(&self) -> bool {
        match self {
            Self::Connect(_) => true,
            Self::Statement { source, .. } => {
                source.is_closed()
                    || source.code().is_none_or(|code| {
                        // 57P: the server is going down or starting; 53: out of resources; 08: connection.
                        ["57P", "53", "08"].iter().any(|class| code.code().starts_with(class))
                    })
            }
            _ => false,
        }
    }
}
