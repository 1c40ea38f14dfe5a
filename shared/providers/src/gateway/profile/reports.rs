//! Where a document of the gateway's has its reports, and each of them its values.

use super::reader::{Faults, Section};
use crate::gateway::document::{Pointer, TimeFormat};

/// The reports of a callback or of a look-up.
#[derive(Debug, Clone)]
pub(in crate::gateway) struct Reports {
    /// The list of them. None: the document is the one report.
    pub list: Option<Pointer>,
    pub report: ReportPointers,
}

#[derive(Debug, Clone)]
pub(in crate::gateway) struct ReportPointers {
    /// The attempt's token, where it does not stand in the callback's address.
    pub token: Option<Pointer>,
    /// The gateway's own id.
    pub id: Option<Pointer>,
    pub status: Pointer,
    /// Says more than the status where it is there and known.
    pub code: Option<Pointer>,
    pub at: Option<(Pointer, TimeFormat)>,
    pub sequence: Option<Pointer>,
    pub event_id: Option<Pointer>,
}

impl Reports {
    pub fn read(section: &mut Section, faults: &mut Faults) -> Option<Self> {
        let list = section.parsed("reports", faults, Pointer::parse);
        let Some(mut report) = section.section("report", faults) else {
            faults.add(section.key("report"), "missing", "say where a report has its values");
            return None;
        };
        let token = report.parsed("token", faults, Pointer::parse);
        let id = report.parsed("id", faults, Pointer::parse);
        let status = report.required("status", "say where a report has its status", faults, Pointer::parse);
        let code = report.parsed("code", faults, Pointer::parse);
        let at = report.parsed("at", faults, Pointer::parse);
        let format = report.one_of("at_format", &TimeFormat::ALL, TimeFormat::Rfc3339, faults);
        let sequence = report.parsed("sequence", faults, Pointer::parse);
        let event_id = report.parsed("event_id", faults, Pointer::parse);
        if list.is_some() && token.is_none() && id.is_none() {
            let remedy = "set token or id: several reports in one body are about several attempts";
            faults.add(report.key("token"), "missing", remedy);
        }
        report.finish(faults);
        let at = at.map(|at| (at, format));
        Some(Self {
            list,
            report: ReportPointers { token, id, status: status?, code, at, sequence, event_id },
        })
    }
}
