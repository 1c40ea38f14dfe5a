//! Where jobs stand in the totals, as parts of statements: `tocsin_domain::counters::Standing`, in SQL. And the count
//! of people who are contacted by phone.

/// Is the address of a job attempted? `$decided`: it was tried or has ended. Outcomes: 36 Canceled; 31 OptOut, which
/// matters of texts (channel 2).
macro_rules! is_attempted {
    ($decided:literal, $channel:literal, $outcome:literal) => {
        concat!(
            "((",
            $decided,
            ") and ",
            $outcome,
            " is distinct from 36 and (",
            $channel,
            " <> 2 or ",
            $outcome,
            " is distinct from 31))"
        )
    };
}

/// Does a job of this outcome contact? The outcomes are those of which the domain says so.
macro_rules! is_contacted {
    ($outcome:literal) => {
        concat!(
            "coalesce(",
            $outcome,
            " in (23, 100, 101, 103, 104, 105, 106, 107, 108, 109, 110, 121), false)"
        )
    };
}

/// May a person have been told by an ended job of this outcome? The outcomes are those of which the domain says so.
macro_rules! may_have_told {
    ($outcome:literal) => {
        concat!(
            "coalesce(",
            $outcome,
            " in (1, 2, 3, 4, 5, 6, 20, 21, 22, 23, 24, 26, 27, 28, 29, 50, 51, 100, 101, 103, 104, 105, 106, 107, 108, 109, \
             110, 121), false)"
        )
    };
}

/// The people of `met` (campaign, district, person, and by how many jobs more or fewer the person is contacted), each
/// with how many they are now and were before. Two statements at once take turns at a person, whose row is the only
/// one that they both write, in the order of people: one of them finds that the other came first.
macro_rules! told_people {
    () => {
        "told_people as (
  insert into phone_people (campaign_id, district_id, person_id, contacts, contacts_before)
  select campaign_id, district_id, person_id, sum(contact), 0 from met
  group by 1, 2, 3 having sum(contact) <> 0 order by campaign_id, person_id
  on conflict (campaign_id, person_id) do update
    set contacts = phone_people.contacts + excluded.contacts, contacts_before = phone_people.contacts
  returning campaign_id, district_id, contacts, contacts_before
)"
    };
}

pub(crate) use {is_attempted, is_contacted, may_have_told, told_people};

#[cfg(test)]
mod tests {
    use tocsin_domain::counters::{Stage, Standing};
    use tocsin_domain::{Channel, Outcome};

    #[test]
    fn the_numbers_written_into_the_parts_are_the_domains() {
        let written = |of: fn(Outcome) -> bool| {
            let numbers: Vec<String> =
                Outcome::all().filter(|it| of(*it)).map(|it| it.number().to_string()).collect();
            format!("coalesce(outcome in ({}), false)", numbers.join(", "))
        };
        assert_eq!(is_contacted!("outcome"), written(Outcome::contacted));
        assert_eq!(may_have_told!("outcome"), written(Outcome::may_have_told));
        for channel in Channel::ALL {
            for outcome in Outcome::all() {
                let out = outcome.number() == 36 || channel.number() == 2 && outcome.number() == 31;
                let standing = Standing::of(channel, Stage::Ended, Some(outcome));
                assert_eq!(standing.attempted, !out, "{channel} {outcome}");
            }
        }
    }
}
