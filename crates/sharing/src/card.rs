//! Cards of the people who have an account here: what others find of them by a contact search (R52).
//!
//! A card is found only as far as its person wants, at first by nobody (R94). All cards are kept in
//! memory until one changes: searches on behalf of other nodes are answered from there.

use protocol::AccountId;
use protocol::message::lookup::{CARD_BYTES_MAX, ContactCard};
use rusqlite::{Connection, params};

use crate::{Sharing, SharingError, cut};

/// A card has at most so many addresses.
pub const CARD_ADDRESSES_MAX: usize = 8;

/// How far away somebody may be who finds a card.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Reach {
    /// Nobody finds it.
    #[default]
    Nobody,
    /// Who has an account on this node.
    Household,
    /// The nodes of friends as well.
    Friends,
    /// The nodes of their friends as well.
    FriendsOfFriends,
}

impl Reach {
    /// All, the nearest first.
    pub const ALL: [Self; 4] = [
        Self::Nobody,
        Self::Household,
        Self::Friends,
        Self::FriendsOfFriends,
    ];

    /// The word in commands and forms.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Nobody => "nobody",
            Self::Household => "household",
            Self::Friends => "friends",
            Self::FriendsOfFriends => "friends-of-friends",
        }
    }
}

impl std::str::FromStr for Reach {
    type Err = SharingError;

    fn from_str(text: &str) -> Result<Self, SharingError> {
        let reach = Self::ALL.into_iter().find(|reach| reach.word() == text);
        reach.ok_or_else(|| {
            let words = Self::ALL.map(Self::word).join(", ");
            bad("who may find a card", format!("expected one of {words}"))
        })
    }
}

/// What a person lets others find.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Card {
    /// Whose.
    pub account: AccountId,
    /// Name and addresses, as they are given to others.
    pub content: ContactCard,
    /// Who finds it.
    pub reach: Reach,
}

impl Card {
    /// True if `term` is part of the name or of an address; letter case does not count.
    #[must_use]
    pub fn has(&self, term: &str) -> bool {
        let term = term.trim().to_lowercase();
        let texts = [&self.content.name].into_iter();
        let mut texts = texts.chain(&self.content.addresses);
        texts.any(|text| text.to_lowercase().contains(&term))
    }
}

impl Sharing {
    /// The card of `account`; one that was never written has its name and is found by nobody.
    ///
    /// # Errors
    /// There is no such account.
    pub fn card(&self, account: AccountId) -> Result<Card, SharingError> {
        let name = self.present(account)?.name;
        let written = self.directory()?;
        let written = written.iter().find(|card| card.account == account);
        Ok(written.cloned().unwrap_or_else(|| Card {
            account,
            content: ContactCard {
                name: name.to_string(),
                addresses: Vec::new(),
            },
            reach: Reach::default(),
        }))
    }

    /// Writes a card. It counts from the next search on.
    ///
    /// # Errors
    /// No name, a control character, more than [`CARD_ADDRESSES_MAX`] addresses or
    /// [`CARD_BYTES_MAX`] bytes; or there is no such account.
    pub fn set_card(&self, mut card: Card) -> Result<(), SharingError> {
        tidy(&mut card.content);
        check(&card.content)?;
        let account = card.account;
        self.change_account(account, move |tx| {
            tx.execute(
                "INSERT INTO account_card (account, name, addresses, reach)
                 VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (account) DO UPDATE SET name = excluded.name,
                 addresses = excluded.addresses, reach = excluded.reach",
                params![
                    account.0,
                    card.content.name,
                    card.content.addresses.join("\n"),
                    card.reach.word()
                ],
            )?;
            Ok(())
        })
    }
}

pub(crate) fn all(c: &Connection) -> Result<Vec<Card>, SharingError> {
    let mut statement = c.prepare_cached(
        "SELECT account, name, addresses, reach FROM account_card ORDER BY name, account",
    )?;
    let rows = statement.query_map([], |row| {
        Ok((
            row.get(0)?,
            row.get(1)?,
            row.get::<_, String>(2)?,
            row.get::<_, String>(3)?,
        ))
    })?;
    rows.map(|row| {
        let (account, name, addresses, reach) = row?;
        Ok(Card {
            account: AccountId(account),
            content: ContactCard {
                name,
                addresses: addresses.lines().map(str::to_owned).collect(),
            },
            reach: reach.parse().map_err(|_| SharingError::Damaged {
                what: "card",
                why: format!("`{}` is no reach", cut(&reach, 40)),
            })?,
        })
    })
    .collect()
}

fn tidy(content: &mut ContactCard) {
    content.name = content.name.trim().to_owned();
    for address in &mut content.addresses {
        *address = address.trim().to_owned();
    }
    content.addresses.retain(|address| !address.is_empty());
}

fn check(content: &ContactCard) -> Result<(), SharingError> {
    let texts = || [&content.name].into_iter().chain(&content.addresses);
    if content.name.is_empty() {
        return Err(bad("card", "write a name".to_owned()));
    }
    if texts().any(|text| text.contains(char::is_control)) {
        return Err(bad("card", "write each text in one line".to_owned()));
    }
    if content.addresses.len() > CARD_ADDRESSES_MAX {
        let why = format!("leave at most {CARD_ADDRESSES_MAX} addresses");
        return Err(bad("card", why));
    }
    if content.bytes() > CARD_BYTES_MAX {
        let why = format!("shorten name and addresses to {CARD_BYTES_MAX} bytes together");
        return Err(bad("card", why));
    }
    Ok(())
}

fn bad(what: &'static str, why: String) -> SharingError {
    SharingError::BadInput { what, why }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::Home;

    fn card(account: AccountId, name: &str, addresses: &[&str], reach: Reach) -> Card {
        Card {
            account,
            content: ContactCard {
                name: name.to_owned(),
                addresses: addresses.iter().map(ToString::to_string).collect(),
            },
            reach,
        }
    }

    #[test]
    fn a_card_is_found_by_nobody_until_its_person_says_so_and_goes_with_the_account() {
        let mut home = Home::new();
        let alice = home.account("alice", true).id;
        let bob = home.account("bob", false).id;
        let unwritten = home.sharing.card(bob).unwrap();
        assert_eq!(unwritten, card(bob, "bob", &[], Reach::Nobody));
        assert!(home.sharing.directory().unwrap().is_empty());
        let wish = card(bob, " Bob Chen ", &["bob@example.org", " "], Reach::Friends);
        home.sharing.set_card(wish).unwrap();
        let kept = card(bob, "Bob Chen", &["bob@example.org"], Reach::Friends);
        assert_eq!(
            &home.sharing.directory().unwrap()[..],
            std::slice::from_ref(&kept)
        );
        home.restart();
        assert_eq!(home.sharing.card(bob).unwrap(), kept);
        assert_eq!(home.sharing.card(alice).unwrap().reach, Reach::Nobody);
        home.sharing.remove_account(bob).unwrap();
        assert!(home.sharing.directory().unwrap().is_empty());
        assert!(
            home.sharing.set_card(kept).is_err(),
            "nobody has this account"
        );
    }

    #[test]
    fn a_term_is_part_of_a_name_or_address_in_any_case() {
        let card = card(AccountId(1), "陈 Bob", &["BOB@example.org"], Reach::Nobody);
        for term in ["bob", "陈", "example", " Bob "] {
            assert!(card.has(term), "{term}");
        }
        assert!(!card.has("bobby"));
    }

    #[test]
    fn what_does_not_fit_on_a_card_is_refused() {
        let long = "x".repeat(CARD_BYTES_MAX);
        let many = ["a"; CARD_ADDRESSES_MAX + 1];
        let refused: [(&str, &[&str]); 5] = [
            ("", &[]),
            ("  ", &["a"]),
            ("a\nb", &[]),
            (&long, &["a"]),
            ("a", &many),
        ];
        for (name, addresses) in refused {
            let mut content = card(AccountId(1), name, addresses, Reach::Nobody).content;
            tidy(&mut content);
            assert!(check(&content).is_err(), "{name:?}");
        }
        assert!("everybody".parse::<Reach>().is_err());
        for reach in Reach::ALL {
            assert_eq!(reach.word().parse::<Reach>().unwrap(), reach);
        }
    }
}
