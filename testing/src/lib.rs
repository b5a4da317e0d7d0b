//! Process harness for the integration tests.
