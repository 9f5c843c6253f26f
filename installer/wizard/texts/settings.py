"""The page on the settings that matter."""

TITLE = "How should it work?"
LEAD = "These are good to begin with: press Enter. All can be changed later, in /etc/chatmail/chatmail.toml."
REGISTRATION = "New accounts for"
REGISTRATION_HINT = (
    "Anyone: whoever scans your code or opens your page. Invited: only with a link made by `chatmail registration "
    "invite`; your general code gives no account then. Nobody: no new accounts; those there are stay as they are."
)
REGISTRATION_CHOICES = (("open", "anyone"), ("invite", "invited people"), ("closed", "nobody"))
MAILS = "Keep messages for"
MAILS_HINT = "The server forgets a message after that time. Phones keep theirs as long as their owners want."
LARGE = "Keep large ones for"
LARGE_HINT = "Messages with pictures, films and the like (above 200 kB) fill the disk first, so they may go earlier."
INACTIVE = "Keep unused accounts"
INACTIVE_HINT = "An account nobody logs in to for that long is removed with all its mail; its address is free again."
QUOTA = "Room per account"
QUOTA_HINT = "How much an account may store; the oldest messages give way. It is a limit, not a reservation."
CONTACT = "How to reach you"
CONTACT_HINT = "A mail address or a link for questions and complaints, shown in the app and on your page. May be empty."
DAYS = "days"
MEBIBYTES = "MiB"
