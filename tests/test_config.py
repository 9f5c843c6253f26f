"""Every key is parsed and checked, and what is wrong is said in one sentence that helps."""

import ast
import inspect
from dataclasses import fields, is_dataclass

import pytest

from chatmail import config as config_module
from chatmail.config import DAY, MIB, Config, keys_of, parse_config
from chatmail.config_text import HIDDEN, config_as_dict, config_as_toml
from chatmail.config_values import Kind
from chatmail.errors import ConfigError
from chatmail.mail.address import Address

DOMAIN = 'mail_domain = "chat.example.org"\n'


def complaint(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        parse_config(text)
    sentence = str(caught.value)
    assert "\n" not in sentence and sentence.endswith(".")
    return sentence


def test_only_the_domain_is_needed_and_everything_else_has_its_default() -> None:
    assert parse_config(DOMAIN) == Config("chat.example.org")


def test_the_defaults_themselves_pass_their_own_checks() -> None:
    assert parse_config(config_as_toml(Config("chat.example.org"))) == Config("chat.example.org")


def test_sizes_and_durations_may_be_written_as_text() -> None:
    config = parse_config(
        DOMAIN
        + '[mail]\nmax_message_size = 31457280\nmax_mailbox_size = "1G"\n'
        + '[limits]\nmin_available_memory = "64 MiB"\nmin_free_disk_space = 0\n[federation]\nqueue_lifetime = "36h"\n'
    )
    assert (config.mail.max_message_size, config.mail.max_mailbox_size) == (31457280, 1024 * MIB)
    assert (config.limits.min_available_memory, config.limits.min_free_disk_space) == (64 * MIB, 0)
    assert config.federation.queue_lifetime == 1.5 * DAY


@pytest.mark.parametrize(
    ("domain", "address_domain", "mode"),
    [
        ("Chat.Example.ORG", "chat.example.org", "acme"),
        ("_chat.test", "_chat.test", "self-signed"),
        ("192.168.1.7", "[192.168.1.7]", "self-signed"),
        ("8.8.8.8", "[8.8.8.8]", "acme"),
        ("2001:4860:4860:0::8888", "[ipv6:2001:4860:4860::8888]", "acme"),
        ("fd00::1", "[ipv6:fd00::1]", "self-signed"),
    ],
)
def test_the_domain_decides_how_addresses_look_and_which_certificate_is_the_default(
    domain: str, address_domain: str, mode: str
) -> None:
    config = parse_config(f'mail_domain = "{domain}"')
    assert (config.address_domain, config.tls.mode) == (address_domain, mode)
    assert Address.parse(f"someone@{address_domain}") == Address("someone", address_domain)


@pytest.mark.parametrize(
    "domain", ["", "a b", "-x.org", "x..org", "1.2.3.999", "[1.2.3.4]", "fe80::1%eth0", "x.org.", "é.org", "a@b.c"]
)
def test_what_is_no_domain_is_refused(domain: str) -> None:
    assert complaint(f'mail_domain = "{domain}"').startswith("mail_domain must be a domain")


def test_a_missing_domain_is_named() -> None:
    assert "mail_domain is missing" in complaint("")


@pytest.mark.parametrize(
    ("text", "nearest"),
    [
        ("mail_domian = 1\n", "nearest known key there is mail_domain"),
        ("imaps = 993\n", "nearest known key is imaps, which belongs in [listen]"),
        ("[mail]\nmax_recipient = 3\n", "nearest known key there is max_recipients"),
        ("[mail]\ndata_dir = 3\n", "nearest known key is data_dir, which belongs in the lines before"),
        ("[mial]\n", "nearest known section is [mail]"),
        ("[listen]\nzzz = 1\n", "the nearest known key there is"),
        ("[mail.more]\nx = 1\n", "Unknown key more in [mail]"),
    ],
)
def test_an_unknown_key_is_answered_with_the_nearest_known_one(text: str, nearest: str) -> None:
    assert nearest in complaint(DOMAIN + text)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[listen]\nimap = 65536\n", "imap in [listen] must be a whole number from 0 to 65535, and it is 65536."),
        ("[listen]\nimap = true\n", "imap in [listen] must be a whole number"),
        ('[imap]\nimap_compress = "yes"\n', "imap_compress in [imap] must be true or false, without quotes"),
        ("[imap]\nstealth = 1\n", "stealth in [imap] must be true or false, without quotes"),
        ('[listen]\nimap = "143"\n', "imap in [listen] must be a whole number"),
        ("[listen]\nimap = 993\n", "imap and imaps in [listen] are both 993"),
        ('[listen]\naddresses = "::"\n', "addresses in [listen] must be a list in brackets"),
        ('[listen]\naddresses = ["localhost"]\n', "must be a list, each item of it an IP address"),
        ("[listen]\naddresses = []\n", "addresses in [listen] is empty"),
        ('[tls]\nmode = "files"\n', "needs both cert_file and key_file"),
        ('[tls]\nmode = "none"\n', 'must be one of "acme", "self-signed", "files", and it is "none".'),
        ('[tls]\ncert_file = "/x"\nkey_file = "/y"\n', "are for mode"),
        ('[tls]\ncert_file = "x.pem"\n', 'must be a path that begins with "/"'),
        ('[tls]\nacme_directory = "acme.org"\n', 'must be a URL that begins with "https://"'),
        ('[tls]\nacme_directory = "https://["\n', 'must be a URL that begins with "https://"'),
        ('[tls]\nacme_directory = ""\n', "acme_directory in [tls] is empty"),
        ("[accounts]\nusername_min_length = 10\nusername_max_length = 12\n", "must leave 9 allowed"),
        ("[accounts]\npassword_min_length = 23\n", "a whole number from 1 to 22"),
        ('[mail]\nmax_mailbox_size = "500X"\n', 'in bytes or like "500M", and it is "500X".'),
        ('[mail]\nmax_message_size = "1K"\n', 'must be a size from "64K"'),
        ('[mail]\nmax_mailbox_size = "1M"\n', "smaller than max_message_size"),
        ("[limits]\nmax_load_1m = nan\n", "must be a number from 0"),
        ('[federation]\nqueue_lifetime = "2 fortnights"\n', 'like "2d"'),
        ("[federation]\nqueue_lifetime = -1\n", "and it is -1"),
        ("[mail]\ndelete_mails_after = -20\n", "a whole number from 1 to 36500, and it is -20"),
        ("[mail]\ndelete_mails_after = 0\n", "a whole number from 1 to 36500"),
        ("[mail]\ndelete_large_after = 99999999\n", "a whole number from 1 to 36500"),
        ('[mail]\ndelete_large_after = "7d"\n', "a whole number from 1 to 36500"),
        ("[accounts]\ndelete_inactive_users_after = 1e9\n", "a whole number from 1 to 36500"),
        ('[federation]\nblocked_domains = ["x y"]\n', "each item of it a domain"),
        ('[federation]\ndkim_selector = "a b"\n', "a DNS label"),
        ('[dns]\nresolvers = ["127.0.0.1:"]\n', "an IP address, with a port"),
        ('[dns]\nresolvers = ["127.0.0.1:99999"]\n', "an IP address, with a port"),
        ('[metadata]\nturn_host = "turn.example.org"\n', "needs turn_secret"),
        ('[metadata]\ncomment = "a\\u0000b"\n', "without control characters"),
        ('data_dir = ""\n', "data_dir is empty"),
        ("mail = 3\n", "mail is a section; write [mail]"),
        ("mail_domain = 3", "not valid TOML"),
        ("x =", "not valid TOML"),
    ],
)
def test_an_impossible_value_is_refused_with_what_to_write_instead(text: str, says: str) -> None:
    assert says in complaint(DOMAIN + text)


def test_a_domain_beginning_with_an_underscore_cannot_ask_for_acme() -> None:
    assert 'write mode = "self-signed"' in complaint('mail_domain = "_x.test"\n[tls]\nmode = "acme"\n')


@pytest.mark.parametrize("resolver", ["127.0.0.1", "127.0.0.1:5353", "::1", "[::1]:5353", "[::1]"])
def test_resolvers_may_have_a_port(resolver: str) -> None:
    assert parse_config(f'{DOMAIN}[dns]\nresolvers = ["{resolver}"]\n').dns.resolvers == (resolver,)


def test_secrets_are_hidden_unless_asked_for() -> None:
    config = parse_config(DOMAIN + '[metadata]\nturn_secret = "s3cret"\n')
    assert "s3cret" not in config_as_toml(config)
    assert config_as_dict(config)["metadata"]["turn_secret"] == HIDDEN
    assert parse_config(config_as_toml(config, secrets=True)) == config


def field_names(table: type) -> list[str]:
    assert is_dataclass(table)
    return [field.name for field in fields(table)]


def test_every_key_has_a_kind_and_a_docstring() -> None:
    tree = ast.parse(inspect.getsource(config_module))
    classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
    for name, node in classes.items():
        table: type = getattr(config_module, name)
        assert list(keys_of(table)) == field_names(table)
        for statement, following in zip(node.body, [*node.body[1:], None], strict=True):
            if not isinstance(statement, ast.AnnAssign) or not isinstance(statement.target, ast.Name):
                continue
            if isinstance(keys_of(table)[statement.target.id], Kind):
                assert isinstance(following, ast.Expr), f"{name}.{statement.target.id} has no docstring"
