## What went wrong. Each says what, and what to do.

problem-title = That did not work
problem-title-not-found = Nothing here
problem-title-refused = Not allowed
problem-title-ours = Something broke on our side
problem-home = To the start page
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
problem-condition-failed = Somebody changed it in the meantime. Look at the present state and try again.
problem-outside-edit = Another program changed the file at the same moment. Its edit was kept; try again.
problem-locked = Somebody has locked this for editing. Try again later.
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
problem-internal = The node could not do this. The reason stands in its log.
problem-bad-account-name = This cannot be the name of an account. Use letters, digits, dot, dash and underscore, at most 64 bytes.
problem-name-taken = There is an account with this name already. Choose another one.
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
name-not-utf8 = The name is not valid text (UTF-8).
name-too-deep = The path is { $depth } folders deep, the limit is { $limit }.
name-bad = This name cannot be used. Choose another one.

## The frame of every page

shell-skip = Skip to the content
shell-navigation = Main navigation
shell-language = Language
nav-files = Files
nav-shared = Shared with me
nav-links = Links
nav-trash = Trash
nav-admin = Administration
nav-account = My account
nav-sign-out = Sign out
