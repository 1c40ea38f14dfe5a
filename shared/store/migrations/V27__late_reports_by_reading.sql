-- Late reports without a token are sought by reading the attempts, some together (docs/adr/0036-late-reports.md). The
-- release before this one looks whether the index is there.

drop index if exists attempts_by_provider_id;
drop function tocsin_summarise_provider_ids();
