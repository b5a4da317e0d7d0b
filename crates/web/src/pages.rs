//! Pages for people: server-rendered, whole without JavaScript (R93).
//!
//! A change is a form; its answer is a redirect (303) to the page that shows the result, with a word
//! in the address that says what was done. Secrets that are shown once are drawn by the change
//! itself.

pub(crate) mod account;
pub(crate) mod admin;
pub(crate) mod center;
pub(crate) mod change;
pub(crate) mod cluster;
pub(crate) mod done;
pub(crate) mod file;
pub(crate) mod folder;
pub(crate) mod friends;
pub(crate) mod link;
pub(crate) mod login;
pub(crate) mod people;
pub(crate) mod problem;
pub(crate) mod setup;
pub(crate) mod share;
pub(crate) mod shell;
pub(crate) mod transfer;
pub(crate) mod trash;
pub(crate) mod upload;
pub(crate) mod visitor;
