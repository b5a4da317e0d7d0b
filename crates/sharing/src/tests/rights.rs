//! From stored grants, links and LAN-only flags to decisions.

use protocol::Fid;

use super::*;
use crate::{
    Access, Decision, Grantee, LanOnly, LinkRight, Need, NewLink, Right, Service, SharingError,
    Target,
};

/// File 3 in folder 2 of root 1.
const CHAIN: [Fid; 3] = [Fid(3), Fid(2), Fid(1)];

struct Family {
    home: Home,
    alice: Account,
    bob: Account,
}

fn family() -> Family {
    let home = Home::new();
    let alice = home.account("alice", true);
    let bob = home.account("bob", false);
    Family { home, alice, bob }
}

impl Family {
    /// What bob may do to something of alice's.
    fn bob_may(&self, chain: &[Fid], right: Right) -> Decision {
        self.ask(
            &signed_in(&self.bob, Place::Lan),
            Service::Files,
            chain,
            right,
        )
    }

    fn ask(&self, asker: &Asker, service: Service, chain: &[Fid], right: Right) -> Decision {
        let target = Target::Entry {
            space_owner: self.alice.id,
            chain,
        };
        self.home
            .sharing
            .decide(asker, service, &target, right)
            .unwrap()
    }

    fn grant(&self, fid: i64, grantee: Grantee, access: Access) -> i64 {
        let sharing = &self.home.sharing;
        sharing
            .add_grant(Fid(fid), grantee, access, self.alice.id)
            .unwrap()
            .id
    }
}

#[test]
fn nothing_is_shared_by_itself() {
    let family = family();
    assert_eq!(family.bob_may(&CHAIN, Right::List), Decision::Hide);
    // The owner of the node does not see into members' spaces either.
    let alice = signed_in(&family.alice, Place::Lan);
    let bobs = Target::Entry {
        space_owner: family.bob.id,
        chain: &CHAIN,
    };
    let decision = family
        .home
        .sharing
        .decide(&alice, Service::Files, &bobs, Right::List);
    assert_eq!(decision.unwrap(), Decision::Hide);
}

#[test]
fn a_grant_reaches_down_and_ends_at_the_next_request() {
    let mut family = family();
    let bob = Grantee::Account(family.bob.id);
    let grant = family.grant(2, bob, Access::Read);
    assert_eq!(family.bob_may(&CHAIN, Right::Download), Decision::Allow);
    assert_eq!(family.bob_may(&CHAIN, Right::Write), Decision::Forbid);
    assert_eq!(family.bob_may(&CHAIN[2..], Right::List), Decision::Hide);
    family.grant(2, bob, Access::Write);
    family.home.restart();
    assert_eq!(family.bob_may(&CHAIN, Right::Delete), Decision::Allow);
    assert_eq!(family.bob_may(&CHAIN[1..], Right::Delete), Decision::Forbid);
    assert_eq!(
        family.home.sharing.granted_to(family.bob.id).unwrap().len(),
        1
    );
    assert_eq!(family.home.sharing.grants(Fid(2)).unwrap().len(), 1);
    let grant_now = family.home.sharing.grants(Fid(2)).unwrap()[0].id;
    assert!(!family.home.sharing.remove_grant(grant).unwrap());
    assert!(family.home.sharing.remove_grant(grant_now).unwrap());
    assert_eq!(family.bob_may(&CHAIN, Right::List), Decision::Hide);
}

#[test]
fn a_grant_to_everyone_reaches_people_who_come_later() {
    let family = family();
    family.grant(1, Grantee::Everyone, Access::Read);
    assert_eq!(family.bob_may(&CHAIN, Right::List), Decision::Allow);
    let carol = signed_in(&family.home.account("carol", false), Place::Away);
    assert_eq!(
        family.ask(&carol, Service::Files, &CHAIN, Right::List),
        Decision::Allow
    );
    let stranger = nobody("192.0.2.1");
    assert_eq!(
        family.ask(&stranger, Service::Files, &CHAIN, Right::List),
        Decision::AskLogin
    );
}

#[test]
fn a_grant_by_somebody_else_than_the_spaces_owner_is_void() {
    let family = family();
    let sharing = &family.home.sharing;
    let carol = family.home.account("carol", false);
    let bob = Grantee::Account(family.bob.id);
    sharing
        .add_grant(Fid(2), bob, Access::Write, carol.id)
        .unwrap();
    assert_eq!(family.bob_may(&CHAIN, Right::List), Decision::Hide);
    let own = sharing.add_grant(Fid(2), bob, Access::Write, family.bob.id);
    assert!(matches!(own, Err(SharingError::BadInput { .. })));
    let gone = sharing.add_grant(
        Fid(2),
        Grantee::Account(AccountId(99)),
        Access::Read,
        family.alice.id,
    );
    assert!(matches!(gone, Err(SharingError::NoAccount(_))));
}

#[test]
fn lan_only_hides_from_everybody_who_is_away() {
    let family = family();
    let sharing = &family.home.sharing;
    family.grant(1, Grantee::Everyone, Access::Write);
    let (link, _) = sharing
        .add_link(NewLink {
            fid: Fid(3),
            right: LinkRight::Edit,
            label: String::new(),
            password: None,
            expires: None,
            downloads_max: None,
            created_by: family.alice.id,
        })
        .unwrap();
    let askers = |place| {
        let mut link_asker = nobody("192.0.2.1");
        link_asker.place = place;
        link_asker.who = Who::Link {
            id: link.id,
            unlocked: true,
        };
        [
            (signed_in(&family.alice, place), Service::Files),
            (signed_in(&family.bob, place), Service::Files),
            (link_asker, Service::Links),
        ]
    };
    let check = |place, expected| {
        for (asker, service) in askers(place) {
            assert_eq!(
                family.ask(&asker, service, &CHAIN, Right::List),
                expected,
                "{}",
                asker.label()
            );
        }
    };
    check(Place::Away, Decision::Allow);
    assert!(sharing.set_lan_only(LanOnly::Entry(Fid(2)), true).unwrap());
    assert!(!sharing.set_lan_only(LanOnly::Entry(Fid(2)), true).unwrap());
    check(Place::Away, Decision::Hide);
    check(Place::Lan, Decision::Allow);
    let away = signed_in(&family.alice, Place::Away);
    let visible = sharing.visibility(&away).unwrap();
    assert!(visible.shows(Fid(1)) && !visible.shows(Fid(2)));
    assert_eq!(visible.hidden().collect::<Vec<_>>(), [Fid(2)]);
    assert!(
        sharing
            .visibility(&signed_in(&family.alice, Place::Lan))
            .unwrap()
            .shows(Fid(2))
    );
    // What lies beside or above it is not hidden.
    assert_eq!(
        family.ask(&away, Service::Files, &CHAIN[2..], Right::List),
        Decision::Allow
    );
    sharing.set_lan_only(LanOnly::Entry(Fid(2)), false).unwrap();
    check(Place::Away, Decision::Allow);
}

#[test]
fn a_lan_only_service_is_closed_away_and_open_at_home() {
    let mut family = family();
    let what = LanOnly::Service(Service::Admin);
    family.home.sharing.set_lan_only(what, true).unwrap();
    family.home.restart();
    let gate = |place, need: &Need| {
        let alice = signed_in(&family.alice, place);
        family.home.sharing.gate(&alice, need).unwrap()
    };
    assert_eq!(gate(Place::Away, &Need::NODE_MANAGE), Decision::Hide);
    assert_eq!(gate(Place::Lan, &Need::NODE_MANAGE), Decision::Allow);
    assert_eq!(gate(Place::Away, &Need::ENTRY_LIST), Decision::Allow);
    assert_eq!(family.home.sharing.lan_only().unwrap(), [what]);
}

#[test]
fn a_link_opens_its_entry_and_what_lies_below_while_it_lives() {
    let family = family();
    let sharing = &family.home.sharing;
    let add = |by: AccountId| {
        let new = NewLink {
            fid: Fid(2),
            right: LinkRight::Edit,
            label: String::new(),
            password: None,
            expires: None,
            downloads_max: None,
            created_by: by,
        };
        sharing.add_link(new).unwrap().0
    };
    let asker = |id, unlocked| Asker {
        who: Who::Link { id, unlocked },
        ..nobody("192.0.2.1")
    };
    let link = add(family.alice.id);
    let ask = |id, chain: &[Fid], right| family.ask(&asker(id, true), Service::Links, chain, right);
    assert_eq!(ask(link.id, &CHAIN, Right::Delete), Decision::Allow);
    assert_eq!(ask(link.id, &CHAIN[1..], Right::Delete), Decision::Forbid);
    assert_eq!(ask(link.id, &CHAIN[2..], Right::List), Decision::Hide);
    let locked = family.ask(&asker(link.id, false), Service::Links, &CHAIN, Right::List);
    assert_eq!(locked, Decision::AskLogin);
    let by_dav = family.ask(&asker(link.id, true), Service::Files, &CHAIN, Right::List);
    assert_eq!(by_dav, Decision::Hide);
    // A link that somebody else made to it opens nothing.
    assert_eq!(
        ask(add(family.bob.id).id, &CHAIN, Right::List),
        Decision::Hide
    );
    assert_eq!(ask(99, &CHAIN, Right::List), Decision::Hide);
    sharing.revoke_link(link.id).unwrap();
    assert_eq!(ask(link.id, &CHAIN, Right::List), Decision::Hide);
}
