//! What was done, in words: the names of the audit log for readers of its page (R102).

use sharing::Action;

use crate::language::Language;

/// Action and message id.
const WORDS: &[(Action, &str)] = &[
    (Action::Create, "action-create"),
    (Action::Write, "action-write"),
    (Action::Delete, "action-delete"),
    (Action::Move, "action-move"),
    (Action::Copy, "action-copy"),
    (Action::Properties, "action-properties"),
    (Action::Restore, "action-restore"),
    (Action::Purge, "action-purge"),
    (Action::Lock, "action-lock"),
    (Action::Unlock, "action-unlock"),
    (Action::BreakLock, "action-break-lock"),
    (Action::Bind, "action-bind"),
    (Action::Unbind, "action-unbind"),
    (Action::Read, "action-read"),
    (Action::Refuse, "action-refuse"),
    (Action::Login, "action-login"),
    (Action::LoginFailed, "action-login-failed"),
    (Action::Logout, "action-logout"),
    (Action::SessionRevoke, "action-session-revoke"),
    (Action::AccountCreate, "action-account-create"),
    (Action::AccountRemove, "action-account-remove"),
    (Action::AccountRole, "action-account-role"),
    (Action::SpaceHandOver, "action-space-hand-over"),
    (Action::SpacePurge, "action-space-purge"),
    (Action::Password, "action-password"),
    (Action::SecondFactor, "action-second-factor"),
    (Action::AppPasswordCreate, "action-app-password-create"),
    (Action::AppPasswordRevoke, "action-app-password-revoke"),
    (Action::LinkCreate, "action-link-create"),
    (Action::LinkChange, "action-link-change"),
    (Action::LinkRevoke, "action-link-revoke"),
    (Action::LinkUse, "action-link-use"),
    (Action::GrantCreate, "action-grant-create"),
    (Action::GrantRemove, "action-grant-remove"),
    (Action::FriendInvite, "action-friend-invite"),
    (Action::FriendWithdraw, "action-friend-withdraw"),
    (Action::FriendAgree, "action-friend-agree"),
    (Action::FriendAccept, "action-friend-accept"),
    (Action::FriendRemove, "action-friend-remove"),
    (Action::FriendChange, "action-friend-change"),
    (Action::CardChange, "action-card-change"),
    (Action::ContactSearch, "action-contact-search"),
    (Action::ContactAnswer, "action-contact-answer"),
    (Action::LanOnly, "action-lan-only"),
    (Action::Quota, "action-quota"),
    (Action::Settings, "action-settings"),
    (Action::Start, "action-start"),
    (Action::Stop, "action-stop"),
    (Action::AuditCut, "action-audit-cut"),
    (Action::AuditBroken, "action-audit-broken"),
];

/// The words for the name that stands in a row; the name itself if this version does not know it.
pub(super) fn action_text(t: Language, name: &str) -> String {
    WORDS
        .iter()
        .find(|(action, _)| action.name() == name)
        .map_or_else(|| name.to_owned(), |(_, id)| t.text(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_action_has_words_in_both_languages() {
        for action in Action::ALL {
            for language in Language::ALL {
                let text = action_text(language, action.name());
                assert_ne!(text, action.name(), "{language:?}");
                assert!(!text.starts_with("action-"), "{text}");
            }
        }
    }
}
