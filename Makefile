# Everything a contributor runs. `make` alone tells what there is.

# Tests wait for servers more than they compute, but each may hold a pool of connections, and PostgreSQL allows 100.
export RUST_TEST_THREADS ?= $(shell n=$$(getconf _NPROCESSORS_ONLN); if [ $$n -lt 2 ]; then echo 2; elif [ $$n -gt 8 ]; then echo 8; else echo $$n; fi)

.DEFAULT_GOAL := help
.PHONY: help check format test screenshots demo loadtest

help:
	@echo 'make check      formatting, lints, dependencies (licences, sources, advisories)'
	@echo 'make test       all tests, on real PostgreSQL, RabbitMQ and Chromium; finds or starts them (scripts/services)'
	@echo 'make screenshots   pictures of the console'"'"'s pages, desktop and phone, light and dark, in target/screenshots'
	@echo 'make demo       imports a roster, sends two campaigns over all channels, cancels one; ARGS="--json FILE"'
	@echo 'make loadtest   the load test; ARGS="…" are its arguments'
	@echo 'make format     formats the code'

check:
	cargo fmt --all -- --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	scripts/deny

format:
	cargo fmt --all

test:
	scripts/services run --browser -- cargo test --locked --workspace --no-fail-fast

screenshots:
	TOCSIN_TEST_SCREENSHOTS=$(CURDIR)/target/screenshots scripts/services run --browser -- cargo test --locked -p tocsin --test system -- page::

demo:
	@echo 'The first build takes 5 to 10 minutes on two cores; later ones take seconds.'
	scripts/services run -- cargo run --locked --quiet --profile demo -p tocsin -- demo $(ARGS)

loadtest:
	@echo 'The first build takes 5 to 10 minutes on two cores; later ones take seconds.'
	scripts/services run -- cargo run --locked --quiet --profile demo -p loadtest -- $(ARGS)
