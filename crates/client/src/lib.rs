//! The client on a laptop: finds home at home and away, lists, fetches and stores files.
#![forbid(unsafe_code)]
