from chatmail.cli.tables import as_text


def test_sizes_say_what_they_are_of_and_are_read_without_counting_digits() -> None:
    answer = {
        "messages": 20311,
        "message_bytes": 1_042_284_544,
        "account_bytes": 0,
        "database_bytes_before": 93_814_784,
        "database_bytes": 41_000_000,
        "stored_bytes": 2048,
        "expires_at": None,
    }
    assert as_text(answer).splitlines() == [
        "messages: 20311",
        "size of the messages: 994 MiB",
        "size of the accounts: 0 B",
        "size of the database before: 89.5 MiB",
        "size of the database now: 39.1 MiB",
        "stored: 2 KiB",
        "expires at: -",
    ]
