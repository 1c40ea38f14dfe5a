//! Statements whose commit nobody has to wait for (docs/adr/0031-unhurried-commits.md).

/// To be joined to the rows that a statement ends with. Its transaction is then committed without waiting for the disk:
/// a crash of the server may undo the last few tenths of a second of such statements. For what is only worked out from
/// other rows, and would be worked out again. Nothing that was seen outside depends on it either: a claim waits for
/// the disk, and with it for all that was committed before.
macro_rules! unhurried {
    () => {
        "(select set_config('synchronous_commit', 'off', true) offset 0) unhurried"
    };
}

pub(crate) use unhurried;
