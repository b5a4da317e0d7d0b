//! Pages for people: server-rendered, whole without JavaScript (R93).

pub(crate) mod problem;
pub(crate) mod shell;
