//! In which part of a receipt a job stands, in SQL: the rule of [`tocsin_domain::receipt::Part::of`].

/// The part of one attempt, `a`; the smallest of a job's attempts is the job's, and 4 (never tried) that of a job
/// without any. Outcomes 23 to 25, 60 to 110 and from 120 on are answers about the device, 1 to 6, 20 to 22, 26 to
/// 29, 50 and 51 leave open whether it was contacted, 36 is canceled; state 3 is settled. A test holds it to the domain's.
macro_rules! part_of_attempt {
    () => {
        "case
      when a.outcome between 23 and 25 or a.outcome between 60 and 110 or a.outcome >= 120 then 1
      when a.state <> 3 or a.outcome is null or a.outcome between 1 and 6 or a.outcome between 20 and 22
        or a.outcome between 26 and 29 or a.outcome between 50 and 51 then 2
      when a.outcome = 36 or a.taken then 3
      else 4 end"
    };
}
pub(crate) use part_of_attempt;
