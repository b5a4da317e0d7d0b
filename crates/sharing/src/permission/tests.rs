//! Every right of every actor from every place, against the table.
