//! The audit log catches what was changed, dropped, cut or rolled back.
