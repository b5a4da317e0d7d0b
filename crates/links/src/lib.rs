//! Links between nodes over QUIC, and discovery on the local network: the rim around `peers`.
#![forbid(unsafe_code)]
