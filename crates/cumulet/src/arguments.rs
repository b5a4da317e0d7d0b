//! The words of the command line (`cumulet --help`). Fixed so that scripts can count on them.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

mod cluster;

pub(crate) use cluster::{
    Center, CenterCommand, CenterServe, Find, Friend, Neighbors, NeighborsChange,
};

/// A personal cloud that lives at home.
#[derive(Debug, Parser)]
#[command(
    name = "cumulet",
    version,
    propagate_version = true,
    arg_required_else_help = true
)]
#[command(
    after_help = "Start with:  cumulet serve ~/cumulet\n\nExit codes: 0 done, 1 no or not found, 2 wrong usage, 3 not reachable, 4 refused."
)]
pub(crate) struct Arguments {
    /// The folder given to `serve`, or the state folder itself [default: $CUMULET_STATE, else ~/cumulet]
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) state: Option<PathBuf>,
    /// Print JSON for programs instead of text for people
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a node that serves the folder DIR
    Serve(Serve),
    /// Run a center that gives names and addresses, or ask the one in --state
    Center(Center),
    /// Tell how the node is: addresses, volumes, modules
    Status,
    /// List the nodes on the home network; needs no node and no settings
    Discover {
        /// Listen for so long
        #[arg(long, value_name = "SECONDS", default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=3600))]
        timeout: u64,
    },
    /// List the nodes that this one has links to, or add, pin and forget some
    Neighbors(Neighbors),
    /// Find a node by its name or id, without a server in the middle; exit code 1 if nobody knows it
    Find(Find),
    /// Manage the people of this node
    #[command(subcommand)]
    User(User),
    /// Manage passwords for single devices and programs
    #[command(subcommand)]
    AppPassword(AppPassword),
    /// See whose files lie where, and deal with those of removed people
    #[command(subcommand)]
    Space(Space),
    /// Limit how much a person's files may take
    #[command(subcommand)]
    Quota(Quota),
    /// Show a folder of this computer in the cloud, in place and without a copy
    Bind(Bind),
    /// Let a bound folder go; its files stay untouched
    Unbind {
        /// Where it is seen, such as alice:/Photos
        place: String,
        #[command(flatten)]
        consent: Consent,
    },
    /// Manage links that anyone with the address can open
    #[command(subcommand)]
    Link(Link),
    /// Give people of this node and friends access to files and folders
    #[command(subcommand)]
    Share(Share),
    /// Nodes of other people: invite, accept, list, remove
    #[command(subcommand)]
    Friend(Friend),
    /// Keep a folder or a service inside the home network
    #[command(subcommand)]
    LanOnly(LanOnly),
    /// List and restore deleted files
    #[command(subcommand)]
    Trash(Trash),
    /// List, stop and start the parts of a running node
    #[command(subcommand)]
    Module(Module),
    /// Compare the catalog with the disk; exit code 1 if they differ
    Check {
        /// Also read all content and compare it with its hashes
        #[arg(long)]
        deep: bool,
    },
    /// Read and verify the log of who did what
    #[command(subcommand)]
    Audit(Audit),
    /// The 24 words that bring this node back
    #[command(subcommand)]
    Recovery(Recovery),
    /// Settings of the node
    Config(Config),
    #[cfg(feature = "client")]
    #[command(flatten)]
    Client(Client),
    /// Print completions for a shell
    #[cfg(feature = "completions")]
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// The folder to serve; made if it is missing
    #[arg(value_name = "DIR")]
    pub(crate) folder: PathBuf,
    /// Where HTTPS listens: ADDRESS:PORT, ADDRESS or PORT [default: [::]:8443]
    #[arg(long, value_name = "ADDR")]
    pub(crate) listen: Option<String>,
    /// Also serve plain HTTP there, for programs on this computer
    #[arg(long, value_name = "ADDR")]
    pub(crate) http: Option<String>,
    /// Let --http listen on an address that other machines reach
    #[arg(long)]
    pub(crate) http_public: bool,
    /// The node's name on the network [default: the computer's name]
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// Keep links to at most so many other nodes [default: 32]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) max_neighbors: Option<u16>,
    /// Neither announce the node on the home network nor look for others there
    #[arg(long)]
    pub(crate) no_mdns: bool,
    /// Ask a node nearby for a sign of life this often [default: 15]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub(crate) beat: Option<u64>,
    /// A node nearby is gone after so many missed beats [default: 3]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) beats_missed: Option<u32>,
    /// Register at this center, as it printed itself: cumulet-center:ID@HOST:PORT
    #[arg(long, value_name = "CENTER")]
    pub(crate) center: Option<String>,
    /// An invite of the center, where registration is not open
    #[arg(long, value_name = "TOKEN")]
    pub(crate) invite: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Password {
    /// Read the password from standard input instead of asking
    #[arg(long)]
    pub(crate) password_stdin: bool,
}

/// This computer as a client of a node elsewhere.
#[cfg(feature = "client")]
#[derive(Debug, Subcommand)]
pub(crate) enum Client {
    /// Sign this computer in on a node elsewhere, by its name in this network or its address
    Login(SignIn),
    /// End a login, here and on the node
    Logout {
        /// Its name
        name: String,
        /// Forget it here even if the node does not answer
        #[arg(long)]
        force: bool,
    },
    /// List the logins of this computer
    Logins,
    /// List a folder on a node, such as home:/Photos
    Ls {
        /// NAME:/path, with the name of a login
        place: client::Place,
        #[command(flatten)]
        speak: Speak,
    },
    /// Fetch a file or folder from a node
    Get(Get),
    /// Store a file or folder on a node
    Put(Put),
}

#[cfg(feature = "client")]
#[derive(Debug, Args)]
pub(crate) struct SignIn {
    /// The node: its name or id in this network or at a center, or https://HOST:PORT
    #[arg(value_name = "NAME|URL")]
    pub(crate) node: String,
    /// Name of the account [default: asked]
    #[arg(long)]
    pub(crate) user: Option<String>,
    #[command(flatten)]
    pub(crate) password: Password,
    /// Code of the second factor or a recovery code [default: asked if it is needed]
    #[arg(long)]
    pub(crate) code: Option<String>,
    /// The id that the node must have, as its `cumulet status` shows it
    #[arg(long)]
    pub(crate) id: Option<protocol::NodeId>,
    /// Take whatever node answers for the right one, this first time
    #[arg(long, conflicts_with = "id")]
    pub(crate) trust: bool,
    /// What to call it here [default: its own name]
    #[arg(long = "as", value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// The center to ask where the node is, as the center prints it [default: the node's own]
    #[arg(long, value_name = "STRING")]
    pub(crate) center: Option<protocol::message::center::CenterAddress>,
    /// What the account page calls this device [default: the computer's name]
    #[arg(long)]
    pub(crate) label: Option<String>,
}

/// How to speak with a node elsewhere.
#[cfg(feature = "client")]
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct Speak {
    /// https with the device's password, or quic with its key, as nodes speak with each other
    #[arg(long, value_name = "PROTOCOL", default_value = "https")]
    pub(crate) via: Via,
}

#[cfg(feature = "client")]
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub(crate) enum Via {
    Https,
    Quic,
}

#[cfg(feature = "client")]
#[derive(Debug, Args)]
pub(crate) struct Get {
    #[command(flatten)]
    pub(crate) speak: Speak,
    /// NAME:/path, with the name of a login
    pub(crate) place: client::Place,
    /// A folder, or a new name [default: the current folder]
    pub(crate) target: Option<PathBuf>,
    /// Folders with all that is in them
    #[arg(short, long)]
    pub(crate) recursive: bool,
    /// Replace files that are here already
    #[arg(long)]
    pub(crate) force: bool,
}

#[cfg(feature = "client")]
#[derive(Debug, Args)]
pub(crate) struct Put {
    #[command(flatten)]
    pub(crate) speak: Speak,
    /// A file or folder of this computer
    pub(crate) source: PathBuf,
    /// NAME:/path: a folder, or a new name
    pub(crate) place: client::Place,
    /// Folders with all that is in them
    #[arg(short, long)]
    pub(crate) recursive: bool,
    /// Replace files that are there already; the node keeps the old versions
    #[arg(long)]
    pub(crate) force: bool,
}

/// Of commands that remove something.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct Consent {
    /// Only tell what would be done
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Do not ask
    #[arg(long)]
    pub(crate) yes: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum User {
    /// Make an account and its space
    Add {
        /// Its name, also the name of its folder
        name: String,
        /// It may administer the node
        #[arg(long)]
        owner: bool,
        /// Also give them the files that a removed account of this name left
        #[arg(long)]
        with_left_over: bool,
        #[command(flatten)]
        password: Password,
    },
    /// List all accounts with their use of space
    List,
    /// Remove an account; its files stay on the disk
    Remove {
        /// Whose
        name: String,
        #[command(flatten)]
        consent: Consent,
    },
    /// Show or change what others find of a person; at first nobody finds anything
    Card {
        /// Whose
        name: String,
        /// As whom others find them
        #[arg(long = "as", value_name = "NAME")]
        shown_as: Option<String>,
        /// Where they are reached: a mail address, a number; may be given several times, and
        /// replaces all that were there
        #[arg(long, value_name = "TEXT")]
        address: Vec<String>,
        /// Remove all addresses
        #[arg(long, conflicts_with = "address")]
        no_addresses: bool,
        /// Who finds them
        #[arg(long, value_name = "WHO", value_parser = ["nobody", "household", "friends", "friends-of-friends"])]
        found_by: Option<String>,
    },
    /// Set a new password; ends all sessions of the account
    Passwd {
        /// Whose
        name: String,
        /// Also turn the second factor off, when phone and codes are lost
        #[arg(long)]
        reset_second_factor: bool,
        #[command(flatten)]
        password: Password,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum AppPassword {
    /// Make one and print it this one time
    Add {
        /// Whose
        user: String,
        /// What the device is called, such as laptop
        #[arg(value_name = "LABEL", default_value = "device")]
        label: String,
        /// The same, by name
        #[arg(
            long = "label",
            value_name = "LABEL",
            conflicts_with = "label",
            hide = true
        )]
        named: Option<String>,
    },
    /// List them, without the passwords
    List {
        /// Whose
        user: String,
    },
    /// Take one away
    Revoke {
        /// Whose
        user: String,
        /// Its number in the list
        id: i64,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Space {
    /// List all spaces, also those that removed people left
    List,
    /// Give a left-over space to a person, beside their own; nothing is moved
    Give {
        /// Name of the space, that of the removed person
        name: String,
        /// Who gets it
        to: String,
    },
    /// Remove a left-over space for good: files, versions and trash
    Purge {
        /// Name of the space, that of the removed person
        name: String,
        #[command(flatten)]
        consent: Consent,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Quota {
    /// Set the limit
    Set {
        /// Whose space
        user: String,
        /// Such as 500GB, 1.5TiB, or `none`
        size: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Bind {
    /// The folder on this computer
    pub(crate) path: PathBuf,
    /// Where it shall be seen, such as alice:/Photos
    pub(crate) place: String,
    /// Wait until everything in it is indexed
    #[arg(long)]
    pub(crate) wait: bool,
    /// Also a folder of the system, such as one in /etc or all of /home
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Link {
    /// Make a link to a file or folder
    Add {
        /// Such as alice:/Photos/2026
        path: String,
        /// What it allows: view, download, edit or upload
        #[arg(long, default_value = "download")]
        right: String,
        /// Ask for this password, read from standard input
        #[arg(long)]
        password_stdin: bool,
        /// When it ends: 12h, 7d, 4w, 2026-12-31 (its last day) or 2026-12-31T18:00:00Z
        #[arg(long, value_name = "T")]
        expires: Option<String>,
        /// How many downloads it allows
        #[arg(long, value_name = "N")]
        limit: Option<u32>,
    },
    /// List all links
    List,
    /// End a link at once
    Revoke {
        /// Its number in the list
        id: i64,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Share {
    /// Share with a person of this node, with everyone on it, or with a friend's node
    Add {
        /// Such as alice:/Photos
        path: String,
        /// Name of an account, `everyone` on this node, or friend:NAME
        who: String,
        /// r to read, rw to read and write
        access: String,
    },
    /// List all shares
    List,
    /// End a share, by its number or by path and person
    Remove {
        /// Number of the share, or its path
        share: String,
        /// The person, with a path
        who: Option<String>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum LanOnly {
    /// Hide it from everybody outside of the home network
    On {
        /// A path such as alice:/Private, or a service: pages, files, links, admin, metrics
        what: String,
    },
    /// Show it outside again
    Off {
        /// A path or a service
        what: String,
    },
    /// List all that is LAN-only
    List,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Trash {
    /// List what can be restored
    List {
        /// Only of this person
        user: Option<String>,
    },
    /// Bring something back
    Restore {
        /// Its number in the list
        id: i64,
        /// Where to, if not where it was
        #[arg(long, value_name = "PATH")]
        to: Option<String>,
    },
    /// Say that the clock is right: after a jump, or weeks switched off, nothing old is removed
    /// until then or until a day later
    ConfirmClock,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Module {
    /// List the modules and what they do
    List,
    /// Start a module again
    Start {
        /// Its name
        name: String,
    },
    /// Stop a module; the others go on
    Stop {
        /// Its name
        name: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Audit {
    /// Show rows, newest first
    Show {
        /// How many
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=1000))]
        limit: u16,
        /// Only rows before this number
        #[arg(long, value_name = "SEQ")]
        before: Option<u64>,
        /// Only from this time on: 12h, 7d (ago) or 2026-12-31
        #[arg(long, value_name = "T")]
        since: Option<String>,
        /// Only of this actor
        #[arg(long)]
        actor: Option<String>,
        /// Only of this action, such as write, login or link-use
        #[arg(long)]
        action: Option<String>,
        /// Only about this file or folder
        #[arg(long)]
        path: Option<String>,
        /// Only rows whose target or detail holds this text
        #[arg(long)]
        text: Option<String>,
    },
    /// Check that no row was changed, removed or cut; exit code 1 if one was
    Verify {
        /// Check this database or export, without a node
        #[arg(long, value_name = "FILE", requires = "node")]
        file: Option<PathBuf>,
        /// The sealed head that belongs to it, `audit-head.json`; an export carries one itself
        #[arg(long, value_name = "FILE", requires = "file")]
        head: Option<PathBuf>,
        /// The node's id
        #[arg(long, value_name = "ID", requires = "file")]
        node: Option<String>,
    },
    /// Write the whole log as JSON lines
    Export {
        /// To this file instead of standard output
        file: Option<PathBuf>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Recovery {
    /// Show the words; asks for the owner's password
    Show {
        /// Which owner, if there are several
        #[arg(long)]
        user: Option<String>,
        #[command(flatten)]
        password: Password,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Config {
    /// Print every key with its default, unit and reason
    #[arg(long)]
    pub(crate) explain: bool,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_holds_together() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn a_device_is_named_with_or_without_the_option() {
        let check = |words: &[&str], expected: &str| {
            let start = ["cumulet", "app-password", "add", "bob"];
            let parsed = Arguments::try_parse_from(start.iter().chain(words)).unwrap();
            let Command::AppPassword(AppPassword::Add { label, named, .. }) = parsed.command else {
                panic!("{words:?} is read as something else");
            };
            assert_eq!(named.unwrap_or(label), expected, "{words:?}");
        };
        check(&[], "device");
        check(&["laptop"], "laptop");
        check(&["--label", "laptop"], "laptop");
    }

    #[test]
    fn state_and_json_may_stand_anywhere() {
        let parsed = Arguments::try_parse_from([
            "cumulet",
            "user",
            "add",
            "bob",
            "--password-stdin",
            "--state",
            "x",
            "--json",
        ])
        .unwrap();
        assert!(parsed.json);
        assert_eq!(parsed.state, Some("x".into()));
        assert!(
            Arguments::try_parse_from(["cumulet", "--json", "serve", "d"])
                .unwrap()
                .json
        );
    }
}
