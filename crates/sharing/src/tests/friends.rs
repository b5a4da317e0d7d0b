//! Friends: invitations, both sides' consent, shares, and the end of all that.

use protocol::message::pair::Introduction;
use protocol::{Fid, NodeId};

use super::*;
use crate::{
    Access, Decision, FriendId, FriendState, Grantee, LanOnly, NewInvitation, RedeemError, Right,
    Scope, Scopes, Service, SharingError, Side, Tally, Target,
};

const BOB: NodeId = NodeId([2; 32]);
const EVE: NodeId = NodeId([3; 32]);
/// File 3 in folder 2 of root 1.
const CHAIN: [Fid; 3] = [Fid(3), Fid(2), Fid(1)];

fn me(name: &str) -> Introduction {
    Introduction {
        name: name.into(),
        addresses: vec!["192.168.1.6:8443".parse().unwrap()],
    }
}

fn invitation() -> NewInvitation {
    NewInvitation {
        scopes: Scopes::usual(),
        lifetime: minutes(10),
        ..NewInvitation::default()
    }
}

fn befriend(home: &Home, node: NodeId, name: &str) -> crate::Friend {
    let (_, token) = home.sharing.invite(invitation()).unwrap();
    home.sharing
        .redeem_invitation(&token, node, &me(name))
        .unwrap()
}

fn may(home: &Home, owner: &Account, id: FriendId, right: Right) -> Decision {
    let asker = Asker {
        who: Who::Friend {
            id,
            name: name("bob"),
        },
        place: Place::Away,
        address: address("192.0.2.7"),
    };
    let target = Target::Entry {
        space_owner: owner.id,
        chain: &CHAIN,
    };
    home.sharing
        .decide(&asker, Service::Files, &target, right)
        .unwrap()
}

#[test]
fn an_invitation_makes_one_node_a_friend_once() {
    let home = Home::new();
    let (_, token) = home.sharing.invite(invitation()).unwrap();
    assert_eq!(home.sharing.invitations().unwrap().len(), 1);
    let redeem = |node| home.sharing.redeem_invitation(&token, node, &me("bob"));
    assert_eq!(redeem(BOB).unwrap().state, FriendState::Accepted);
    assert!(home.sharing.invitations().unwrap().is_empty());
    // The first answer may have been lost on its way.
    assert_eq!(redeem(BOB).unwrap().state, FriendState::Accepted);
    assert!(matches!(redeem(EVE), Err(RedeemError::Unknown)));
    let guess = home.sharing.redeem_invitation(&[0; 16], EVE, &me("eve"));
    assert!(matches!(guess, Err(RedeemError::Unknown)));
    assert_eq!(home.sharing.friends().unwrap().len(), 1);
}

#[test]
fn an_invitation_ends_can_be_withdrawn_and_can_be_for_one_node_only() {
    let home = Home::new();
    let sharing = &home.sharing;
    let (_, token) = sharing.invite(invitation()).unwrap();
    home.pass(minutes(10));
    let late = sharing.redeem_invitation(&token, BOB, &me("bob"));
    assert!(matches!(late, Err(RedeemError::Expired)), "{late:?}");

    let (withdrawn, token) = sharing.invite(invitation()).unwrap();
    assert!(sharing.withdraw_invitation(withdrawn.id).unwrap());
    let gone = sharing.redeem_invitation(&token, BOB, &me("bob"));
    assert!(matches!(gone, Err(RedeemError::Unknown)));

    let for_bob = NewInvitation {
        node: Some(BOB),
        ..invitation()
    };
    let (_, token) = sharing.invite(for_bob).unwrap();
    let stolen = sharing.redeem_invitation(&token, EVE, &me("eve"));
    assert!(matches!(stolen, Err(RedeemError::Unknown)));
    assert!(sharing.redeem_invitation(&token, BOB, &me("bob")).is_ok());

    let forever = NewInvitation {
        lifetime: days(31),
        ..invitation()
    };
    assert!(sharing.invite(forever).is_err());
}

#[test]
fn nobody_is_a_friend_before_both_sides_agree() {
    let home = Home::new();
    let sharing = &home.sharing;
    let agree = |side| {
        let friend = sharing.friend_agrees(BOB, side, &me("bob"), None, &Scopes::usual());
        friend.unwrap().state
    };
    let at_the_door = || sharing.friend_at_the_door(BOB, Scope::Files).unwrap();
    assert_eq!(agree(Side::Them), FriendState::WaitsForUs);
    assert_eq!(at_the_door(), None);
    assert_eq!(agree(Side::Us), FriendState::Accepted);
    assert_eq!(at_the_door().unwrap().name, name("bob"));
}

#[test]
fn a_ticket_waits_sealed_until_the_other_side_answers() {
    let home = Home::new();
    let sharing = &home.sharing;
    let expires = sharing.now().plus(minutes(10));
    let held = sharing.hold_ticket(BOB, &[7; 16], expires, &me(""), None, &Scopes::usual());
    assert_eq!(held.unwrap().state, FriendState::WaitsForThem);
    let tickets = sharing.held_tickets().unwrap();
    assert_eq!(tickets.len(), 1);
    assert_eq!(tickets[0].1, [7; 16]);
    let welcomed = sharing.friend_agrees(BOB, Side::Them, &me("bob"), None, &Scopes::usual());
    assert_eq!(welcomed.unwrap().state, FriendState::Accepted);
    assert!(sharing.held_tickets().unwrap().is_empty());
}

#[test]
fn names_of_friends_are_unique_and_can_be_folders() {
    let home = Home::new();
    let called = |node, as_what: &str| befriend(&home, node, as_what).name.to_string();
    assert_eq!(called(BOB, "Home"), "Home");
    assert_eq!(called(EVE, "home"), "home 2");
    assert_eq!(called(NodeId([4; 32]), "../etc"), "-etc");
    assert_eq!(called(NodeId([5; 32]), ""), "friend");
    let eve = home.sharing.friend("HOME 2").unwrap().unwrap();
    let rename = |text: &str| home.sharing.rename_friend(eve.id, &name(text));
    assert!(rename("HOME").is_err());
    assert!(rename("a:b").is_err());
    rename("Eve").unwrap();
    assert_eq!(home.sharing.friend("eve").unwrap().unwrap().node, EVE);
}

#[test]
fn r19_a_friend_has_what_is_shared_and_nothing_after_its_removal() {
    let home = Home::new();
    let alice = home.account("alice", true);
    let bob = befriend(&home, BOB, "bob");
    let sharing = &home.sharing;
    assert_eq!(may(&home, &alice, bob.id, Right::List), Decision::Hide);
    // What every account gets is not for friends.
    sharing
        .add_grant(Fid(2), Grantee::Everyone, Access::Write, alice.id)
        .unwrap();
    assert_eq!(may(&home, &alice, bob.id, Right::List), Decision::Hide);
    let share = |access| {
        let share = sharing.share_with_friend(Fid(2), bob.id, access, alice.id, &name("Photos"));
        share.unwrap()
    };
    share(Access::Read);
    assert_eq!(may(&home, &alice, bob.id, Right::Download), Decision::Allow);
    assert_eq!(may(&home, &alice, bob.id, Right::Write), Decision::Forbid);
    let grant = share(Access::Write);
    assert_eq!(may(&home, &alice, bob.id, Right::Delete), Decision::Allow);
    assert_eq!(may(&home, &alice, bob.id, Right::Share), Decision::Forbid);

    sharing.set_lan_only(LanOnly::Entry(Fid(3)), true).unwrap();
    assert_eq!(may(&home, &alice, bob.id, Right::List), Decision::Hide);
    sharing.set_lan_only(LanOnly::Entry(Fid(3)), false).unwrap();

    sharing
        .set_friend_scopes(bob.id, &"none".parse().unwrap())
        .unwrap();
    assert_eq!(may(&home, &alice, bob.id, Right::List), Decision::Hide);
    sharing.set_friend_scopes(bob.id, &Scopes::usual()).unwrap();

    assert!(sharing.remove_friend(bob.id).unwrap());
    assert_eq!(may(&home, &alice, bob.id, Right::List), Decision::Hide);
    assert_eq!(sharing.grant(grant.id).unwrap(), None);
}

#[test]
fn a_removed_friend_cannot_come_back_with_its_old_ticket() {
    let home = Home::new();
    let sharing = &home.sharing;
    let (_, token) = sharing.invite(invitation()).unwrap();
    let bob = sharing.redeem_invitation(&token, BOB, &me("bob")).unwrap();
    sharing.remove_friend(bob.id).unwrap();
    let again = sharing.redeem_invitation(&token, BOB, &me("bob"));
    assert!(matches!(again, Err(RedeemError::Unknown)));
}

#[test]
fn shares_of_one_name_stay_apart_and_keep_their_names() {
    let home = Home::new();
    let alice = home.account("alice", true);
    let bob = befriend(&home, BOB, "bob");
    let share = |fid, text: &str| {
        let share =
            home.sharing
                .share_with_friend(Fid(fid), bob.id, Access::Read, alice.id, &name(text));
        share.unwrap().share_name.unwrap().to_string()
    };
    assert_eq!(share(1, "Photos"), "Photos");
    assert_eq!(share(2, "photos"), "photos 2");
    // Shared again with another right, or after a rename.
    assert_eq!(share(2, "Pictures"), "photos 2");
    assert_eq!(home.sharing.granted_to_friend(bob.id).unwrap().len(), 2);
    let stranger = home.sharing.share_with_friend(
        Fid(1),
        FriendId(99),
        Access::Read,
        alice.id,
        &name("Photos"),
    );
    assert!(matches!(stranger, Err(SharingError::Missing("friend"))));
}

#[test]
fn r09_the_ledger_adds_up_by_day_and_outlives_a_friendship() {
    let home = Home::new();
    let bob = befriend(&home, BOB, "bob");
    let count = |given, taken| {
        let sums = vec![(BOB, Tally { given, taken })];
        home.sharing.count_bytes(sums).unwrap();
    };
    count(5, 1);
    count(5, 0);
    home.pass(days(1));
    count(1, 1);
    let rows = home.sharing.ledger(BOB, 10).unwrap();
    assert_eq!(rows.len(), 2);
    assert_eq!(
        rows[1].tally,
        Tally {
            given: 10,
            taken: 1
        }
    );
    home.sharing.remove_friend(bob.id).unwrap();
    assert_eq!(
        home.sharing.ledger_total(BOB).unwrap(),
        Tally {
            given: 11,
            taken: 2
        }
    );
    home.pass(days(401));
    home.sharing.forget_expired().unwrap();
    assert_eq!(home.sharing.ledger(BOB, 10).unwrap(), []);
}
