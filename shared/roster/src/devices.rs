//! The devices of one user row: its `sms`, `phone` and `email`, and its portal inbox.

use tocsin_domain::Channel;
use tocsin_domain::address::Email;

use crate::phone::{PhoneReader, PhoneText, split_field};
use crate::problem::ProblemLog;
use crate::roster::Device;
use crate::table::{Column, Row};

/// More numbers than this in one field are a list that slipped into it.
const MAX_NUMBERS_PER_FIELD: usize = 10;

pub(crate) struct DeviceColumns {
    pub sms: Column,
    pub phone: Column,
    pub email: Column,
}

/// The devices found so far for one person.
struct DevicesOf<'a> {
    person: &'a str,
    devices: Vec<Device>,
}

impl DevicesOf<'_> {
    /// The same address twice on one channel is one device.
    fn add(&mut self, channel: Channel, address: &str, extension: Option<&str>) {
        let on_channel = || self.devices.iter().filter(|device| device.channel == channel);
        if on_channel().any(|device| device.address == address && device.extension.as_deref() == extension) {
            return;
        }
        let position = on_channel().map(|device| device.position).max().unwrap_or(0) + 1;
        self.devices.push(Device {
            person_source_id: self.person.to_owned(),
            channel,
            address: address.to_owned(),
            extension: extension.map(str::to_owned),
            position,
        });
    }
}

/// Whether the person can sign in to the portal, and so has an inbox there.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Portal {
    Open,
    Closed,
}

/// A bad number or address costs that device and no other.
pub(crate) fn devices_of(
    person: &str,
    portal: Portal,
    row: Row<'_>,
    columns: &DeviceColumns,
    reader: &PhoneReader,
    log: &mut ProblemLog,
) -> Vec<Device> {
    let mut found = DevicesOf { person, devices: Vec::new() };
    let phones = numbers(row, columns.phone, reader, log);
    let mobiles = numbers(row, columns.sms, reader, log);
    for phone in &phones {
        found.add(Channel::Voice, phone.phone.as_str(), phone.extension.as_deref());
    }
    // A mobile is also called where `phone` names nothing else that could be. The same number in both
    // columns is one voice device, `phone`'s, which may have an extension.
    if phones.is_empty() {
        for mobile in &mobiles {
            found.add(Channel::Voice, mobile.phone.as_str(), mobile.extension.as_deref());
        }
    }
    for mobile in &mobiles {
        match mobile.extension {
            None => found.add(Channel::Sms, mobile.phone.as_str(), None),
            Some(_) => {
                let what =
                    "has an extension, which no text reaches: put it under phone; no text device was made";
                row.error(log, Some(columns.sms.name), what.to_owned());
            }
        }
    }
    if let Some(text) = row.text(columns.email, log) {
        match Email::parse(text) {
            Ok(address) => found.add(Channel::Email, address.as_str(), None),
            // The fault says what an address needs and does not repeat the text.
            Err(fault) => {
                let what = format!("{fault}: correct it; the device was left out");
                row.error(log, Some(columns.email.name), what);
            }
        }
    }
    if portal == Portal::Open {
        found.add(Channel::Inbox, person, None);
    }
    found.devices
}

fn numbers(row: Row<'_>, column: Column, reader: &PhoneReader, log: &mut ProblemLog) -> Vec<PhoneText> {
    let mut parts = split_field(row.text(column, log).unwrap_or_default());
    if parts.len() > MAX_NUMBERS_PER_FIELD {
        parts.truncate(MAX_NUMBERS_PER_FIELD);
        let what = format!(
            "holds more than {MAX_NUMBERS_PER_FIELD} numbers: keep the first; the others were left out"
        );
        row.error(log, Some(column.name), what);
    }
    let mut phones = Vec::with_capacity(parts.len());
    for part in &parts {
        match reader.read(part) {
            Some(phone) => phones.push(phone),
            None => row.error(log, Some(column.name), invalid_number(part)),
        }
    }
    phones
}

/// Tells numbers apart by their last two digits only.
fn invalid_number(text: &str) -> String {
    let digits: Vec<char> = text.chars().filter(char::is_ascii_digit).collect();
    let remedy = "correct it, with + and country code if it is foreign; the device was left out";
    match digits.as_slice() {
        [.., tens, ones] if digits.len() > 4 => {
            format!("the number of {} digits ending in {tens}{ones} cannot be called: {remedy}", digits.len())
        }
        _ => format!("is not a phone number: {remedy}"),
    }
}
