"""Texts with what redaction should make of them, from what users and systems write.

HARD ones are known to come out wrong; they are counted in precision and recall like the rest.
Numbers are test numbers of the networks, addresses those reserved for documentation.
"""

from __future__ import annotations

HIDE = [
    ("Write to ann@example.org.", "Write to [email]."),
    ("'o'brien+rag@mail.example.co.uk'", "'[email]'"),
    ("mailto:bob_1@example.com?subject=x", "mailto:[email]?subject=x"),
    ("Müller <jörg.müller@büro-example.de>", "Müller <[email]>"),
    ("ann@example.org,bob@example.org", "[email],[email]"),
    ("My number is (415) 555-2671, call me", "My number is [phone], call me"),
    ("Ring +44 20 7946 0958 after six", "Ring [phone] after six"),
    ("tel:+14155552671", "tel:[phone]"),
    ("415-555-2671 / 415-555-2672", "[phone] / [phone]"),
    ("fax 415.555.2671.", "fax [phone]."),
    ("Büro: +49 (30) 901820", "Büro: [phone]"),
    ("call 1-800-356-9377 now", "call [phone] now"),
    ("I paid with 4111 1111 1111 1111 12/28", "I paid with [card] 12/28"),
    ("card=5555555555554444;cvc=123", "card=[card];cvc=123"),
    ("Amex 3782-822463-10005 was declined", "Amex [card] was declined"),
    ("order 77 6011 1111 1111 1117", "order 77 [card]"),
    ("IBAN DE89 3704 0044 0532 0130 00 please", "IBAN [iban] please"),
    ("gb82west12345698765432", "[iban]"),
    ("from FR1420041010050500013M02606, thanks", "from [iban], thanks"),
    ("blocked 203.0.113.9:443 and 192.168.1.17/24", "blocked [ip]:443 and [ip]/24"),
    ("peer 2001:db8::8a2e:370:7334: timeout", "peer [ip]: timeout"),
    ("http://[2001:db8:0:0:0:0:0:9]:80/", "http://[[ip]]:80/"),
    ("::ffff:198.51.100.4 connected", "[ip] connected"),
    ("key AKIAIOSFODNN7EXAMPLE leaked", "key [secret] leaked"),
    ("ghp_16C7e42F292c6912E7710c838347Ae178B4a", "[secret]"),
    ("use sk-proj-Jx81kQpV0s3mZr7TtYw2 for it", "use [secret] for it"),
    ("Authorization: Bearer eyJhbGciOi.abc-123_zZ9", "Authorization: Bearer [secret]"),
    (
        "jwt eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P",
        "jwt [secret]",
    ),
    ("postgres://app:s3cr3t@db.example.org/rag", "postgres://[secret]@db.example.org/rag"),
    ('api_key = "f4Kd82LmQz71PvXc09Rt"', 'api_key = "[secret]"'),
    ("my password is hunter2!", "my password is [secret]"),
    ("PASSWORD=Tr0ub4dor&3", "PASSWORD=[secret]"),
    ('"client_secret": "9b1deb4d3b7d4bad9bdd2b0d7b3dcb6d"', '"client_secret": "[secret]"'),
    (
        "-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQEA\n-----END RSA PRIVATE KEY-----\nok",
        "[secret]\nok",
    ),
    ("-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0 (cut off", "[secret]"),
]

KEEP = [
    "upgrade to version 1.2.3.4 or v10.2.0.1",
    "torch==2.13.0.1 and numpy>=2.4.6.0",
    "1.2.3.4-beta, chrome 120.0.6099.109",
    "section 4.2.1.3 of the standard",
    "bind to 127.0.0.1 or 0.0.0.0, netmask 255.255.255.0",
    "ISBN 978-0-306-40615-7 and 0-306-40615-2",
    "on 2026-01-05 12:30:45 and 05/01/2026 at 23:59",
    "between 2026-01-05 and 2026-02-05 1200 requests",
    "p95 = 1234.56 ms, 0.4155552671, 3.14159265358979",
    "latency 123 456 789 ns; 1 000 000 000 rows",
    "request 4155552671 of segment 1764077910123456789",
    "req-2f1c7a90-4b1e-4a53-9d5e-0c6b7f6a1d22",
    "content 53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    "order 1234 5678 9012 3456",
    "doi:10.1038/s41586-021-03819-2 and arXiv:2401.05856v1",
    "git@github.com:org/repo.git",
    "@app.route and @pytest.fixture decorate",
    "x @ y.T multiplies, react@18.2.0 does not",
    "x[::2], a[::-1], std::vector, fe::ed",
    "00:1b:44:11:3a:b7 is a MAC address",
    "at 12:30:45:123 the build ended",
    'api_key = "YOUR_API_KEY"',
    "api_key=os.environ['OPENAI_API_KEY']",
    "password=getpass.getpass() and password=None",
    "the password is correct; a token is a word",
    "max_tokens = 1500, token: tokenizer.eos_token_id",
    "set RAGDIAG_KEY=<your-key-here-0123456789>",
    "basic understanding of bearer instruments",
    "https://example.org:8080/path?user=ann",
    "What is the default of scipy.optimize.minimize(tol=1e-8)?",
    "Cats sleep about fifteen hours a day.",
    "Table 3: 12 34 56 78",
    "GB is a country; DE89 is a road",
]

HARD_HIDE = [
    ("ann (at) example (dot) org", "[email]"),
    ("the password is swordfish", "the password is [secret]"),
    ("Tel. 030 901820", "Tel. [phone]"),
]
"""Obfuscated; a word; a national format that no configured region has."""

HARD_KEEP = [
    "the driver 10.2.0.1 is out",
    "ticket 4539 1488 0343 6467",
    "result x@y.shape",
]
"""A version that no word calls so; an id that passes as a card; an operator between two names."""
