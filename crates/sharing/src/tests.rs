//! People, sessions, links and grants over a real database.
