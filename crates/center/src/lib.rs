//! The public center: registry, dynamic DNS, lists of neighbors and relays. It sees names and addresses, never content.
#![forbid(unsafe_code)]
