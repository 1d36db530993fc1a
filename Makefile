# `make help` lists the targets. Each installs what it needs (scripts/setup), and leaves the tree clean.

.DEFAULT_GOAL := help
.PHONY: help setup run test check bench train

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## install what is missing, fetch the FHIR definitions
	@scripts/setup

run: setup ## build a release and serve with demo data on http://127.0.0.1:8080
	cargo build --release --locked
	@exec $${CARGO_TARGET_DIR:-target}/release/salus serve --demo

test: ## run every test, and the judges from outside (conformance/)
	@scripts/setup test
	cargo test --workspace --locked
	conformance/run

check: setup ## format, lints as errors, licences and advisories of dependencies
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	scripts/check-dependencies

bench: setup ## measure against a bare server and a bare PostgreSQL, as ratios
	benches/run

train: ## retrain the shipped models from their data sets
	@scripts/setup train
	operations/risk-score/train/run.sh
