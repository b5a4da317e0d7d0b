//! The words for other nodes: a center, neighbors, lookups, friends.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::Consent;

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Center {
    #[command(subcommand)]
    pub(crate) command: Option<CenterCommand>,
    #[command(flatten)]
    pub(crate) serve: CenterServe,
}

#[derive(Debug, Args)]
pub(crate) struct CenterServe {
    /// The folder of the center; made if it is missing
    #[arg(value_name = "DIR", required = true)]
    pub(crate) folder: Option<PathBuf>,
    /// The domain under which names are given, such as cloud.example.org
    #[arg(long)]
    pub(crate) zone: Option<String>,
    /// Where nodes are served over QUIC: ADDRESS:PORT, ADDRESS or PORT [default: [::]:8443]
    #[arg(long, value_name = "ADDR")]
    pub(crate) listen: Option<String>,
    /// Also serve the admin page there, on this computer
    #[arg(long, value_name = "ADDR")]
    pub(crate) http: Option<String>,
    /// Where DNS answers over UDP and TCP [default: [::]:53]
    #[arg(long, value_name = "ADDR")]
    pub(crate) dns: Option<String>,
    /// A PostgreSQL URL instead of the SQLite file in DIR
    #[arg(long, value_name = "URL")]
    pub(crate) database: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum CenterCommand {
    /// List the registered nodes
    Nodes,
    /// Make an invite that lets unknown nodes register
    Invite {
        /// For how many nodes
        #[arg(long, default_value_t = 1)]
        uses: u32,
        /// For how many days
        #[arg(long, default_value_t = 7)]
        days: u32,
    },
    /// Keep a node in every list of neighbors
    Pin {
        /// Its id
        id: String,
    },
    /// Treat it as any other node again
    Unpin {
        /// Its id
        id: String,
    },
    /// Forget a node; its name is free at once
    Remove {
        /// Its id
        id: String,
        #[command(flatten)]
        consent: Consent,
    },
}

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Neighbors {
    /// What to do; without it they are listed
    #[command(subcommand)]
    pub(crate) change: Option<NeighborsChange>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum NeighborsChange {
    /// Call a node and keep a link to it
    Add {
        /// ID@HOST:PORT, as `cumulet status` shows there
        address: String,
    },
    /// Prefer a node to all others
    Pin {
        /// Its id, or its name if it is a neighbor
        node: String,
    },
    /// Prefer it no longer
    Unpin {
        /// Its id or name
        node: String,
    },
    /// Forget a node until it is heard of again
    Forget {
        /// Its id or name
        node: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Find {
    /// Name or id of a node; with --people, part of a person's name or address
    #[arg(value_name = "NAME|ID")]
    pub(crate) what: String,
    /// Seek people in the books of this node, of friends, and of their friends
    #[arg(long, conflicts_with_all = ["max_hops", "services"])]
    pub(crate) people: bool,
    /// How far away people are sought
    #[arg(long, value_name = "WHO", requires = "people", default_value = "friends-of-friends", value_parser = ["friends", "friends-of-friends"])]
    pub(crate) among: String,
    /// Ask at most so many links away
    #[arg(long, value_name = "N", default_value_t = 6, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) max_hops: u16,
    /// Answer after so many seconds at the latest
    #[arg(long, value_name = "SECONDS", default_value_t = 10.0)]
    pub(crate) deadline: f64,
    /// Also ask the node what it offers to this one
    #[arg(long)]
    pub(crate) services: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Friend {
    /// Make a ticket: one string that makes whoever brings it a friend, once
    Invite {
        /// What the friend may ask for: files, or none [default: files]
        #[arg(long, value_name = "S")]
        scope: Option<String>,
        /// What the friend will be called here [default: as it calls itself]
        #[arg(long)]
        name: Option<String>,
        /// Only the node with this id may use the ticket
        #[arg(long = "for", value_name = "ID")]
        node: Option<String>,
        /// How long it holds, such as 1h or 7d [default: 24h]
        #[arg(long, value_name = "T")]
        expires: Option<String>,
    },
    /// Take the ticket of somebody else; `-` reads it from standard input
    Accept {
        /// The ticket, all of it
        ticket: String,
        /// What the friend will be called here [default: as it calls itself]
        #[arg(long)]
        name: Option<String>,
    },
    /// Begin a comparison of six digits with a node near by, instead of a ticket
    Compare {
        /// ID@ADDRESS:PORT
        node: String,
    },
    /// The six digits of the other screen, to be typed on both sides
    Confirm {
        /// The other node's id
        node: String,
        /// The digits that the other screen shows
        code: String,
        /// What the friend will be called here [default: as it calls itself]
        #[arg(long)]
        name: Option<String>,
    },
    /// List friends, open tickets and comparisons, with what was given and taken
    List,
    /// Call a friend something else, or change what it may ask for
    Change {
        /// Its name or id
        friend: String,
        /// Its new name
        #[arg(long)]
        name: Option<String>,
        /// What it may ask for: files, or none
        #[arg(long, value_name = "S")]
        scope: Option<String>,
    },
    /// Withdraw a ticket that nobody has used
    Withdraw {
        /// Its number in the list
        id: i64,
    },
    /// End a friendship, with all that is shared with it, at once
    Remove {
        /// Its name or id
        friend: String,
    },
}
