"""BODY and BODYSTRUCTURE: a tree of MIME parts as IMAP describes it. RFC 9051 §7.5.2, RFC 3501 §7.4.2.

`body_structure(part)` is pure text work on what `part_tree` found. A multipart without a single part is described with
one empty text part, since the grammar has no other way to say it. `MD5` is what the part says of itself.
"""

import re

from chatmail.imap.encoding import nstring, string
from chatmail.imap.envelope_structure import envelope_of_fields
from chatmail.imap.part_tree import MAX_PARAMETER_BYTES, Parameters, Part, parse_parameters

_LANGUAGE = re.compile(rb"[^\s,]+")
_EMPTY_TEXT = b'"text" "plain" NIL NIL NIL "7bit" 0 0'


def body_structure(part: Part, *, extended: bool) -> bytes:
    """The `body` of the grammar; with `extended` the form of BODYSTRUCTURE, without it the form of BODY."""
    if part.is_multipart:
        return _multipart(part, extended=extended)
    return _single_part(part, extended=extended)


def _multipart(part: Part, *, extended: bool) -> bytes:
    """`body-type-mpart = 1*body SP media-subtype [SP body-ext-mpart]`."""
    children = b"".join(body_structure(child, extended=extended) for child in part.children) or _empty_text(extended)
    if not extended:
        return b"(%b %b)" % (children, string(part.subtype))
    return b"(%b %b %b %b)" % (children, string(part.subtype), _parameters(part.parameters), _extension(part))


def _empty_text(extended: bool) -> bytes:
    """A part that is not there."""
    return b"(%b%b)" % (_EMPTY_TEXT, b" NIL NIL NIL NIL" if extended else b"")


def _single_part(part: Part, *, extended: bool) -> bytes:
    """`body-type-1part = (body-type-basic / body-type-msg / body-type-text) [SP body-ext-1part]`."""
    fields = part.fields
    media_type = part.media_type
    items = [
        string(media_type),
        string(part.subtype),
        _parameters(part.parameters),
        nstring(fields.get(b"content-id")),
        nstring(fields.get(b"content-description")),
        string(fields.get(b"content-transfer-encoding", b"7bit")),
        b"%d" % (part.end - part.body_start),
    ]
    if part.is_message:
        message = part.children[0]
        items += [envelope_of_fields(message.fields), body_structure(message, extended=extended), b"%d" % part.lines]
    elif media_type.lower() == b"text":
        items.append(b"%d" % part.lines)
    elif (media_type.lower(), part.subtype.lower()) == (b"message", b"rfc822"):
        # Too deep to be looked into: the grammar demands an envelope and a body all the same.
        items += [envelope_of_fields({}), _empty_text(extended), b"%d" % part.lines]
    if extended:
        items += [nstring(fields.get(b"content-md5")), _extension(part)]
    return b"(%b)" % b" ".join(items)


def _parameters(parameters: Parameters) -> bytes:
    """`body-fld-param = "(" string SP string *(SP string SP string) ")" / nil`."""
    if not parameters:
        return b"NIL"
    return b"(%b)" % b" ".join(string(name) + b" " + string(value) for name, value in parameters)


def _extension(part: Part) -> bytes:
    """`body-fld-dsp SP body-fld-lang SP body-fld-loc`."""
    language = _LANGUAGE.findall(part.fields.get(b"content-language", b"")[:MAX_PARAMETER_BYTES])
    languages = b"(%b)" % b" ".join(map(string, language)) if language else b"NIL"
    return b"%b %b %b" % (_disposition(part), languages, nstring(part.fields.get(b"content-location")))


def _disposition(part: Part) -> bytes:
    """`body-fld-dsp = "(" string SP body-fld-param ")" / nil`."""
    value = part.fields.get(b"content-disposition")
    if not value:
        return b"NIL"
    kind, _, _ = value.partition(b";")
    return b"(%b %b)" % (string(kind.strip()), _parameters(parse_parameters(value[len(kind) :])))
