//! Rows by person: who was contacted, and whose delivery failed, stands in all rows of a person together.

use crate::choice::{Choice, Detail};
use crate::report::{Person, Row};

/// All rows of one person.
#[derive(Debug)]
pub(crate) struct OnePerson {
    pub rows: Vec<Row>,
    /// Requirements 72 and 73.
    pub contacted_by_phone: bool,
}

/// Takes rows in their order and gives them back person by person. It holds one page, and one person more.
#[derive(Debug)]
pub(crate) struct People<P> {
    pages: P,
    page: std::vec::IntoIter<Row>,
    next: Option<Row>,
}

impl<P, E> People<P>
where
    P: Iterator<Item = Result<Vec<Row>, E>>,
{
    pub fn of(pages: P) -> Self {
        Self { pages, page: Vec::new().into_iter(), next: None }
    }

    fn row(&mut self) -> Option<Result<Row, E>> {
        loop {
            if let Some(row) = self.next.take().or_else(|| self.page.next()) {
                return Some(Ok(row));
            }
            match self.pages.next()? {
                Ok(page) => self.page = page.into_iter(),
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

impl<P, E> Iterator for People<P>
where
    P: Iterator<Item = Result<Vec<Row>, E>>,
{
    type Item = Result<OnePerson, E>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut rows: Vec<Row> = Vec::new();
        let mut whose: Option<Person> = None;
        loop {
            match self.row() {
                None => break,
                Some(Err(error)) => return Some(Err(error)),
                Some(Ok(row)) if whose.is_some_and(|person| person != row.person) => {
                    self.next = Some(row);
                    break;
                }
                Some(Ok(row)) => {
                    whose = Some(row.person);
                    rows.push(row);
                }
            }
        }
        let devices = || rows.iter().filter_map(|row| row.device.as_ref());
        let contacted_by_phone = devices().any(|device| device.contacts_by_phone());
        whose.map(|_| Ok(OnePerson { rows, contacted_by_phone }))
    }
}

impl OnePerson {
    /// The rows that are chosen.
    pub fn chosen(&self, choice: &Choice) -> impl Iterator<Item = &Row> {
        let of_mode = |row: &&Row| match &row.device {
            None => choice.no_device,
            Some(device) => choice.modes.contains(&device.channel),
        };
        let failed =
            || self.rows.iter().filter(of_mode).filter_map(|row| row.device.as_ref()).any(|it| it.failed());
        let whole = match choice.detail {
            Detail::All => true,
            Detail::Summary => false,
            Detail::Failed => failed(),
        };
        let of_status = |row: &&Row| match (&row.device, &choice.statuses) {
            (None, _) | (_, None) => true,
            (Some(device), Some(statuses)) => statuses.hold(device.outcome.filter(|_| device.ended)),
        };
        self.rows.iter().filter(move |_| whole).filter(of_mode).filter(of_status)
    }
}
