//! Black-box tests: YAML in, HTTP out.
