## What went wrong. Each says what, and what to do.

problem-title = That did not work
problem-title-not-found = Nothing here
problem-title-refused = Not allowed
problem-title-ours = Something broke on our side
problem-home = Start page
problem-bad-request = The field “{ $what }” is missing or does not hold what it should. Go back and check it.
problem-sign-in = Sign in first: the name, password or code is missing or wrong.
problem-forbidden = You may see this, but you may not do that with it. Ask its owner for more rights.
problem-foreign = The request came from a foreign page and was not carried out. Open this page from its own address and try again.
problem-not-found = There is nothing at this address, or it is not meant for you. Check the address, or ask the person who gave it to you.
problem-method = This address does not do that.
problem-taken = Something with this name is there already. Choose another name.
problem-name-twin = The disk cannot keep this name apart from one that is there already. Choose another name.
problem-parent-missing = The folder that should hold it does not exist. Make the folder first.
problem-not-a-folder = A file is in the place of a folder.
problem-is-a-folder = A folder is in the place of a file.
problem-into-itself = A folder cannot go into itself. Choose another place.
problem-same-target = It is there already: source and target are the same.
problem-is-top = The top of a space or of a bound folder stays where it is.
problem-condition-failed = Somebody changed it in the meantime. Look at the present state and try again. What you sent is kept for a week among the versions of the file.
problem-outside-edit = Another program changed the file at the same moment. Its edit was kept; try again.
problem-at-home-only = This tells names of LAN-only files and works only inside of the home network.
problem-leaves-lan = This is LAN-only, and there it would be seen from outside of the home network. Make the new place LAN-only first, or lift it here.
problem-locked = Somebody has locked this for editing. Try again later. What you sent is kept for a week among the versions of the file.
problem-over-quota = This needs { $need }, and { $available } are left of the quota. Delete something or ask for more.
problem-disk-full = The disk is full. Free some space and try again.
problem-too-large = This is larger than { $limit }, the limit here.
problem-incomplete = The upload broke off before its end. Nothing was changed; try again.
problem-checksum = The content arrived damaged: it does not match its checksum. Nothing was changed; try again.
problem-too-many-properties = Too many or too large properties for one entry.
problem-timeout = Nothing arrived for too long, so the connection was given up. Try again.
problem-range = The file does not have the part that was asked for.
problem-too-many = Too many attempts. Wait { $seconds } s and try again.
problem-away = The disk that holds this is not connected at the moment. Try again when it is back.
problem-read-only = The disk or folder can only be read.
problem-busy = There is too much to do at the moment. Try again in a few seconds.
problem-friend-offline = The node of { $name } does not answer. It may be switched off; try again later.
problem-friend-refuses = The node of { $name } does not take this node for a friend any more, or shares no files with it.
problem-friend-broken = The node of { $name } broke off in the middle of its answer. Try again.
problem-ticket = No friend was made: { $why }
problem-internal = The node could not do this. The reason stands in its log.
problem-bad-account-name = This cannot be the name of an account. It has at most 64 bytes, no colon or backslash, no dot or space at its ends, and is no name that Cumulet uses itself.
problem-name-taken = There is an account with this name already. Choose another one.
problem-space-taken = A removed account left files under this name. Choose another name, or first give them to somebody or remove them: `cumulet space list` on the node shows how.
problem-weak-password = A password has at least 8 characters and is not the name of the account.
problem-last-owner = This is the only owner. Make another account an owner first.
problem-limit-reached = There are { $count } already, which is the limit. Remove one first.
problem-wrong-code = The code does not fit. Check the clock of your phone and try the next code.
problem-wrong-password = The password is wrong.

name-empty = The name is empty.
name-dots = “{ $name }” is not a name but a direction. Choose another name.
name-separator = The name “{ $name }” holds a slash or NUL, which no disk can store.
name-too-long = The name is { $bytes } bytes long, the limit is { $limit }.
name-reserved = The name “{ $name }” is reserved.
name-not-on-disk = The disk cannot store the name “{ $name }”. FAT, exFAT and NTFS take none of : * ? " < > | \ and no dot or space at the end; choose another name.
name-not-utf8 = The name is not valid text (UTF-8).
name-too-deep = The path is { $depth } folders deep, the limit is { $limit }.
name-bad = This name cannot be used. Choose another one.

## The frame of every page

shell-skip = Skip to the content
shell-navigation = Main navigation
shell-language = Language
nav-files = Files
nav-shared = Shared
nav-links = Links
nav-trash = Trash
nav-admin = Administration
nav-manage = Admin
nav-account = My account
nav-sign-out = Sign out

## Words of many pages

back = Back
cancel = Cancel
copy = Copy
copy-done = Copied
delete = Delete
download = Download
on = On
pages = Pages of the list
quota = Quota
rename = Rename
save = Save
share = Share
undo = Undo
upload = Upload
versions = Earlier versions
new-folder = New folder
column-actions = Actions
column-modified = Changed
column-name = Name
column-size = Size
label-code = Code
label-folder-name = Name of the folder
label-name = Name
label-new-name = New name
label-password = Password
label-password-again = Password once more
label-password-new = New password
label-password-old = Present password
proof-hint = Once more, so that nobody who finds this browser open can do it.
proof-code-hint = From the app on your phone, or a recovery code.
password-hint = At least 8 characters. A few random words are easy to remember and hard to guess.
pick = Pick “{ $name }”
pick-all = Pick all
menu-of = Actions for “{ $name }”
problem-passwords-differ = The two passwords are not the same. Type them again.
problem-nothing-picked = Nothing was picked. Go back and pick at least one.

## Dates

date = { $day } { $month ->
    [1] Jan
    [2] Feb
    [3] Mar
    [4] Apr
    [5] May
    [6] Jun
    [7] Jul
    [8] Aug
    [9] Sep
    [10] Oct
    [11] Nov
   *[12] Dec
} { $year }
date-time = { $date }, { $time } UTC

## Set-up and sign-in

setup-title = Welcome to your cloud
setup-welcome = Two steps, and it is yours: keep the recovery words, and make your account.
setup-words-title = 1. Keep these 24 words
setup-words-text = They are the only way to get this cloud back if the computer is lost. Write them on paper and keep it in a safe place. This page is gone once your account is made.
setup-words-kept = I have written the words down.
setup-owner-title = 2. Make your account
setup-name-hint = Short and simple, such as alice. It is part of the address of your files.
setup-finish = Start my cloud
setup-fingerprint = Fingerprint of this node's certificate:
setup-used-title = Set up already
setup-used-text = This link works once, and it was used. Sign in with the account that was made then.
login-title = Sign in
login-welcome = Sign in to your cloud.
login-button = Sign in
login-wrong = Name or password is wrong.
login-bye = You are signed out.
code-title = One more step
code-text = Type the code that your authenticator app shows now.
code-hint = No phone at hand? A recovery code works here too.

## What was just done

done-welcome = Your cloud is ready. Upload something, or drop files on this page.
done-folder = The folder “{ $name }” was made.
done-renamed = Renamed to “{ $name }”.
done-moved = { $count ->
    [one] One entry was moved here.
   *[other] { $count } entries were moved here.
}
done-copied = { $count ->
    [one] One entry was copied here.
   *[other] { $count } entries were copied here.
}
done-deleted = { $count ->
    [one] One entry is in the trash.
   *[other] { $count } entries are in the trash.
}
done-uploaded = { $count ->
    [one] One file was uploaded.
   *[other] { $count } files were uploaded.
}
done-sent = { $count ->
    [one] One file has arrived. Thank you!
   *[other] { $count } files have arrived. Thank you!
}
done-restored = { $count ->
    [one] One entry is back where it was.
   *[other] { $count } entries are back where they were.
}
done-version = The earlier version is current again; the one before it was kept.
done-purged = Removed for good.
done-link = The link is ready. Whoever has it can open it.
done-revoked = The link is dead from now on.
done-shared = Shared.
done-unshared = No longer shared.
done-lan-on = Reachable only in the home network from now on.
done-lan-off = Reachable from everywhere again, for those who may.
done-password = The password was changed, and all other sessions were ended.
done-saved = Saved.
done-removed = Removed.
done-factor-off = The second factor is off.

## Folders and files

folder-mine = My files
folder-of = Files of { $name }
folder-path = Path to this folder
folder-empty = Nothing here yet
folder-empty-text = Upload files with the button above, or drop them on this page.
folder-used = Used: { $used }
folder-total = { $count ->
    [one] One entry
   *[other] { $count } entries
}
new-folder-make = Make folder
rename-title = Rename “{ $name }”
delete-picked = Delete
move-picked = Move or copy
move-title = { $count ->
    [one] Move or copy one entry
   *[other] Move or copy { $count } entries
}
move-here = Move here
copy-here = Copy here
move-hint = They are in this folder now. Open the folder where they should go.
move-elsewhere = Other places
move-no-folders = No folders in here.
badge-away = Disk not connected
badge-bound = Bound folder
badge-indexing = Being indexed
badge-lan-only = Home network only
file-preview = Preview
file-created = Added
file-hash = BLAKE3
file-open-text = Open the text
file-no-preview = No preview for this kind of file.
versions-none = None yet. When the file is overwritten, what it held before is kept here.
versions-restore = Make current
version-overwritten = replaced by { $author }
version-refused = refused, sent by { $author }
version-lost = overwritten by another program on the disk; its content is not kept
version-outside = set aside for an edit from outside, { $author }

## Upload

upload-files = Files
upload-hint = Any number, any size.
upload-start = Upload
upload-clash = If a name is taken already
upload-clash-number = Keep both
upload-clash-number-text = The new file gets a number.
upload-clash-replace = Replace
upload-clash-replace-text = The old content is kept as an earlier version.
upload-clash-refuse = Do not upload
upload-clash-refuse-text = The old file stays as it is.
upload-sending = Uploading…
upload-storing = Making it safe on the disk…
upload-failed = The connection broke off. Nothing half-done was kept; try again.
upload-renumbered = “{ $wanted }” was there already, so yours is “{ $given }”.

## Trash

trash-text = What you deleted stays here for a while and can be brought back.
trash-empty = The trash is empty
trash-deleted = Deleted
trash-until = Kept until
trash-restore = Restore
trash-purge = Delete for good
trash-purge-ask = Delete this for good? It cannot be brought back.
trash-cut = The newest { $shown } of { $count } are shown.

## Sharing

share-title = Share “{ $name }”
share-access = Access
share-who = Person
share-everyone = Everyone on this node
share-friend = Friend { $name }
share-nobody = There are no other people on this node yet.
share-stop = Stop sharing
share-link-title = By link
share-link-text = For people without an account. Whoever has the address can open it.
share-link-right = What the link allows
share-link-password = Password (optional)
share-link-password-hint = Asked before anything is shown.
share-link-expires = Last day (optional)
share-link-expires-hint = The link is dead after this day.
share-link-limit = Downloads (optional)
share-link-limit-hint = The link is dead after so many.
share-link-label = Note (optional)
share-link-label-hint = For yourself, such as who has it.
share-link-make = Make a link
share-member-title = With people on this node
share-member-text = People of this node find it under “Shared”, friends in their folder “Friends”.
share-member-make = Share
access-read = Read
access-write = Read and change
right-download = Download
right-download-text = Look at it and download it.
right-view = Look only
right-view-text = Pictures, films, music and texts in the browser.
right-upload = Send files only
right-upload-text = Others put files in and see nothing of what is there.
right-edit = Change
right-edit-text = Look, download, add, rename and delete.
lan-title = Home network only
lan-text = Then it cannot be reached from outside: not by you, not by links, not by people it is shared with.
lan-turn-on = Home network only
lan-turn-off = Allow from everywhere
shared-title = Shared with me
shared-text = What other people on this node share with you.
shared-empty = Nobody shares anything with you yet
shared-from = From
shared-since = Since
links-text = Links that you made, and what became of them.
links-empty = No links yet
links-empty-text = Choose “Share” beside a file or folder.
link-title = A link
link-all = All links
link-url = Address
link-show = Show
link-revoke = Revoke
link-revoke-ask = Revoke this link? Nobody can open it after that.
link-leads-to = Leads to
link-gone = In the trash or gone
link-state = State
link-usable = Open
link-expired = Expired
link-used-up = Used up
link-revoked = Revoked
link-until = until
link-with-password = with password
link-downloads = { $count ->
    [one] one download
   *[other] { $count } downloads
}
link-downloads-of = { $count } of { $limit } downloads

## Visitors with a link

visitor-lock-title = Password, please
visitor-lock-text = Whoever sent you this link has set a password.
visitor-lock-open = Open
visitor-drop-title = Send files
visitor-drop-text = What you send goes to the owner of this link. You will not see what others sent.
visitor-view = Look at it
visitor-delete-ask = Delete what is picked?

## Account

role-owner = Owner of this node
role-member = Member
devices-title = Devices and programs
devices-text = Each network drive, phone or sync program gets a password of its own. Lost the device? Revoke only that one.
devices-address = Address for WebDAV:
devices-made = Made
devices-used = Last used
devices-unused = Never used
devices-revoke = Revoke
devices-label = Name of the device
devices-label-hint = Such as “phone” or “laptop”.
devices-add = Make a password
device-new-title = Password for “{ $label }”
device-new-text = Type or copy it into the device. It is shown only now.
device-new-done = Done
password-title = Password
password-text = After a change all your other sessions end.
password-change = Change the password
factor-title = Second factor
factor-short = Second factor
factor-text = A code from your phone is asked besides the password, so a stolen password is not enough.
factor-turn-on = Turn on
factor-turn-off = Turn off
factor-scan = Scan the picture with an authenticator app, then type the code that it shows.
factor-secret = Or type this secret into the app:
factor-open-app = Open in an app on this device
factor-confirm = Turn on
factor-codes-title = Keep these recovery codes
factor-codes-text = Each works once in place of a code, if the phone is lost. They are shown only now.
factor-codes-kept = I have kept them
factor-codes-left = { $count ->
    [one] One recovery code is unused.
   *[other] { $count } recovery codes are unused.
}
people-title = Find people
people-text = People of this household, of your friends, and of their friends, as far as they let themselves be found.
people-term = Name or address
people-term-hint = At least two letters of a name, a mail address or a number. Friends learn that this node asks, and for what.
people-go = Find
people-own = What others find of me
people-found = Found
people-nobody = Nobody found
people-nobody-text = Whoever wants to be found says so in their own account.
people-book-own = In this household
people-book-friend = With your friend { $name }
people-book-farther = With a friend of a friend: { $node }
card-title = What others find of me
card-text = Nobody finds you until you choose who may. Each search by friends is in the audit log.
card-name = Name
card-addresses = Addresses
card-addresses-hint = One a line: mail, telephone, whatever you like; at most eight.
card-reach = Who finds me
card-reach-nobody = Nobody
card-reach-household = People of this household
card-reach-friends = Friends of this node as well
card-reach-friends-of-friends = Friends of friends as well
card-save = Save
sessions-title = Sessions
sessions-text = Browsers that are signed in to your account.
sessions-this = This one
sessions-begun = Since
sessions-end = End
sessions-end-others = End all others
sessions-unknown = Unknown browser

## Administration

admin-node = Node
admin-people = People
admin-audit = Audit log
admin-version = Version
admin-started = Running since
admin-fingerprint = Certificate
admin-id = Identity
admin-disks = Disks
admin-free = { $free } free of { $total }
admin-workers = Background work
admin-workers-text = What the node does by itself.
admin-progress = { $done } of { $total }
admin-last-run = last run
worker-busy = Busy
worker-idle = Waiting
worker-stopped = Stopped
worker-failed = Failed
worker-start = Start
worker-stop = Stop
work-web-https = Pages and network drive
work-web-http = The same over plain HTTP
work-scanner = Finds what other programs changed
work-audit-sealer = Seals the audit log
work-lock-expiry = Ends locks whose time is over
work-retention = Removes old versions and trash
work-network = Follows addresses, renews the certificate
work-links = Links to other nodes
work-neighbors = Keeps neighbors, finds nodes
work-friends = Reaches friends, counts what was given and taken
work-center = Registers this node at its center
work-discovery = Shows this node on the home network, finds others
cluster-title = Other nodes
cluster-text = Nodes that this one has met. Through them it finds others, without a server in the middle.
cluster-map = Map of { $count } linked nodes: the nearer to the middle, the faster they answer
cluster-empty = No other node yet
cluster-away = The work that keeps links to other nodes is stopped or could not start. The page of the node shows why.
cluster-no-name = That is neither the name nor the id of a node.
cluster-go = Go to node
cluster-go-text = Its name or its id. Neighbors are asked, and their neighbors.
cluster-go-button = Go
cluster-nobody = Nobody knows a node like that
cluster-several = Several nodes call themselves so. Compare the ids: a name is only what a node says of itself.
cluster-effort = { $messages } messages, { $ms } ms
cluster-nameless = Without a name
cluster-addresses = Addresses
cluster-offers = Offers
cluster-not-asked = Not asked yet what it offers
cluster-direct = Direct
cluster-relayed = Through a relay
cluster-no-link = No link
cluster-friend = Friend
cluster-pinned = Preferred
cluster-seen = There
cluster-suspect = Silent
cluster-gone = Gone
center-title = Center
center-text = It gives this node a name on the internet and helps to find others. The node works without it.
center-registered = Registered
center-connecting = On the way to the center
center-stopped = The work that keeps the link to the center is stopped
center-away = The center cannot be reached
center-refused = The center refuses this node
center-degraded = For now this does not work; everything else does:
center-degraded-address = The name of this node does not follow a change of its address.
center-degraded-find = Nodes that are neither here nor neighbors are not found by their name at the center.
center-degraded-certificates = Certificates that need the center’s DNS are not renewed.
center-name-refused = The center does not give the name { $name }
center-name-taken = Another node has it. Start the node with another name (`--name`).
center-name-alike = It looks like { $name }, which another node has. Start the node with another name (`--name`).
center-name-reserved = The center keeps it for services of its own. Start the node with another name (`--name`).
center-name-no-label = It has no letter or digit that a name in the DNS can have. Start the node with another name (`--name`).
center-invite = The invite is missing, unknown, used up or too old. Ask the center’s owner for one and start the node with `--invite`.
center-not-valid = It does not accept what this node says of itself. Compare the clocks of both.
center-lied = The center gave a false answer. Nothing of it was used.
center-not-asked = The center could not be asked
center-url = Address of this node
center-renewed = Heard from this node last
center-string = Center string
offer-pages = Pages
offer-webdav = Network drive
offer-files = Shared files
services-title = From outside
services-text = What can be reached only in the home network does not exist for the rest of the world.
services-open = Allow from everywhere
services-close = Home network only
service-pages = Pages and sign-in
service-files = Files
service-links = Links
service-admin = Administration
service-metrics = Counters for monitoring
people-role = Role
people-role-text = An owner administers the node and its people.
people-used = Used
people-since = Since
people-add = Add a person
people-add-text = Tell them name and password; they can change the password themselves.
people-add-button = Add
people-reset = Reset the password
people-reset-text = Ends all sessions of this person.
people-reset-factor = Also turn the second factor off
people-reset-button = Set the password
people-make-owner = Make owner
people-make-member = Make member
people-remove = Remove
people-remove-text = Sessions, links and shares of this person end at once. The files stay on the disk and nobody else gets them; `cumulet space list` on the node shows them, to hand over or remove.
people-remove-confirm = Type the name to confirm
people-remove-button = Remove
quota-none = no limit
quota-hint = Such as 500 GB. Empty is no limit.
audit-when = When
audit-who = Who
audit-from = From
audit-what = What
audit-text = Contains
audit-any = Everything
audit-filter = Filter
audit-export = Export all
audit-lan-only = LAN-only: shown inside of the home network
audit-empty = No rows
audit-older = Older rows
audit-revision = revision
action-create = Made
action-write = Changed
action-delete = Deleted
action-move = Moved or renamed
action-copy = Copied
action-properties = Properties changed
action-restore = Restored
action-purge = Removed for good
action-lock = Locked
action-unlock = Unlocked
action-break-lock = Lock broken
action-bind = Folder bound
action-unbind = Folder let go
action-read = Read
action-refuse = Refused
action-login = Signed in
action-login-failed = Sign-in failed
action-logout = Signed out
action-session-revoke = Session ended
action-account-create = Account made
action-account-remove = Account removed
action-space-hand-over = Space handed over
action-space-purge = Space removed for good
action-account-role = Role changed
action-password = Password changed
action-second-factor = Second factor
action-app-password-create = Device password made
action-app-password-revoke = Device password revoked
action-link-create = Link made
action-link-change = Link changed
action-link-revoke = Link revoked
action-link-use = Link used
action-grant-create = Shared with a person
action-grant-remove = Sharing stopped
action-friend-invite = Ticket for a friend made
action-friend-withdraw = Ticket for a friend withdrawn
action-friend-agree = Agreed to a friend
action-friend-accept = Became friends
action-friend-remove = Friendship ended
action-friend-change = Friend changed
action-card-change = Card changed
action-contact-search = People sought
action-contact-answer = People sought by a friend
action-lan-only = Home network only
action-quota = Quota set
action-settings = Setting changed
action-start = Node started
action-stop = Node stopped
action-audit-cut = Old rows cut
action-audit-broken = Log found damaged

nav-friends = Friends
done-friend = You are friends now. Share a folder with them from its menu “Share”.
friends-title = Friends
friends-text = Nodes of other people. What they share with you is fetched live from their nodes; what you share stays here and can be taken back at any time.
friends-empty = No friends yet. Make a ticket, or take one.
friends-scopes = May ask for
friends-scope-files = { $count ->
    [0] Files, nothing shared yet
    [one] Files, 1 share
   *[other] Files, { $count } shares
 }
friends-scope-none = Nothing
friends-given = Given
friends-taken = Taken
friends-since = Friends since
friends-waits-them = does not answer yet
friends-waits-us = waits for you
friends-remove = End this friendship
friends-tickets = Open tickets
friends-ticket = Ticket { $number }
friends-until = Holds until
friends-withdraw = Withdraw
friends-invite = Invite a friend
friends-invite-text = A ticket makes the first node that brings it your friend. Give it to one person, over a way that only they read.
friends-invite-button = Make a ticket
friends-name = What to call them
friends-name-hint = Empty: as their node calls itself.
friends-accept = Take a ticket
friends-accept-text = Somebody gave you a ticket? Paste all of it here.
friends-accept-button = Become friends
friends-ticket-field = Ticket
friends-ticket-title = Your ticket
friends-ticket-text = It is shown this one time, and works once.
friends-later = Their node does not answer now. This node asks again until the ticket ends.
friends-nothing = They share nothing with you yet.
