import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchboard.intake.mapping import DEFAULT_MAPPING, FieldMapping, Rule, flatten, guess_targets, plain_name
from switchboard.kernel.errors import InvalidError

ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=10,
)


def test_rule_takes_the_first_that_is_not_empty_then_the_constant() -> None:
    rule = Rule(("mobile", "phone"), "none")
    assert rule.read({"phone": "1", "mobile": "2"}) == "2"
    assert rule.read({"phone": "1", "mobile": ""}) == "1"
    assert rule.read({}) == "none"
    assert Rule(("a",)).read({}) is None


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (Rule(("a",), case="lower"), "ada  king lovelace"),
        (Rule(("a",), case="upper"), "ADA  KING LOVELACE"),
        (Rule(("a",), split=" ", part=0), "Ada"),
        (Rule(("a",), split=" ", part=-1, case="lower"), "lovelace"),
        (Rule(("a",), split=" ", part=3), None),
        (Rule(("n",), split="1"), 12),
    ],
)
def test_rule_shapes_texts(rule: Rule, expected: str | int | None) -> None:
    assert rule.read({"a": "Ada  King Lovelace", "n": 12}) == expected


def test_mapping_in_json() -> None:
    mapping = FieldMapping.from_json(
        {
            "email": "contact.email",
            "phone": ["mobile", "phone"],
            "stage": {"value": "new"},
            "last_name": {"from": "name", "split": " ", "part": -1, "case": "upper"},
            "fields.plan": "plan",
            "options": {"guess": False, "ignore": ["debug"], "honeypot": "fax"},
        }
    )
    assert dict(mapping.rules) == {
        "email": Rule(("contact.email",)),
        "phone": Rule(("mobile", "phone")),
        "stage": Rule(value="new"),
        "last_name": Rule(("name",), split=" ", part=-1, case="upper"),
        "fields.plan": Rule(("plan",)),
    }
    assert (mapping.guess, mapping.ignore, mapping.honeypot) == (False, frozenset({"debug"}), "fax")
    assert FieldMapping.from_json({}) == DEFAULT_MAPPING


def test_every_problem_of_a_mapping_is_named_at_once() -> None:
    with pytest.raises(InvalidError) as caught:
        FieldMapping.from_json(
            {
                "e_mail": "email",
                "email": [],
                "phone": {"from": "phone", "case": "Title"},
                "name": {"form": "name"},
                "stage": 3,
                "company": [""],
                "fields.": "a",
                "options": {"guess": "yes"},
            }
        )
    assert [problem.field for problem in caught.value.problems] == [
        "e_mail",
        "email",
        "phone.case",
        "name",
        "stage",
        "company.from[0]",
        "fields.",
        "options.guess",
    ]


def test_a_mapping_is_bounded() -> None:
    with pytest.raises(InvalidError, match="cannot be used"):
        FieldMapping.from_json({f"fields.{number}": "a" for number in range(201)})
    for wrong in (None, [1], "email"):
        with pytest.raises(InvalidError, match="JSON object"):
            FieldMapping.from_json(wrong)


def test_flatten() -> None:
    payload = {
        "a": {"b": " x ", "empty": " ", "none": None, "c": [{"d": 1}, {"d": 2.5}]},
        "list": ["a", 1, None, ""],
        "one": ["only"],
        "big": 1 << 70,
        "yes": True,
    }
    assert flatten(payload) == {
        "a.b": "x",
        "a.c.0.d": 1,
        "a.c.1.d": 2.5,
        "list": "a, 1",
        "one": "only",
        "big": "1180591620717411303424",
        "yes": True,
    }
    assert len(flatten({str(number): number for number in range(5_000)})) == 1_000
    assert len(str(flatten({"a": "x" * 50_000})["a"])) == 10_000


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("email", "email"),
        ("E-Mail", "email"),
        ("Email Address", "email"),
        ("your-email", "email"),
        ("contact[email]", "email"),
        ("phone_number", "phone"),
        ("Mobile", "phone"),
        ("Téléphone portable", None),
        ("Telefon", "phone"),
        ("電話番号", "phone"),
        ("メールアドレス", "email"),
        ("full name", "name"),
        ("What's your name?", "name"),
        ("name.first", "first_name"),
        ("Vorname", "first_name"),
        ("Prénom", "first_name"),
        ("lead.company.name", "company"),
        ("company.name", "company"),
        ("utm_source", "utm_source"),
        ("utm.source", "utm_source"),
        ("utmCampaign", "utm_campaign"),
        ("form.name", None),
        ("campaign.email", None),
        ("owner.email", "owner_hint"),
        ("contacts.0.email", "email"),
        ("id", None),
        ("…", None),
    ],
)
def test_names_are_recognised(path: str, target: str | None) -> None:
    assert guess_targets([path]) == ({target: path} if target else {})


def test_the_likeliest_of_several_paths_is_taken() -> None:
    assert guess_targets(["fax", "mobile", "billing.phone", "phone"])["phone"] == "phone"
    assert guess_targets(["mail", "details.email"])["email"] == "details.email"


def test_plain_name() -> None:
    assert plain_name("  E-Mail_Ädress (work) ") == "emailadresswork"


@given(ANY_JSON)
def test_any_json_is_a_mapping_or_refused_with_reasons(source: object) -> None:
    try:
        mapping = FieldMapping.from_json(source)
    except InvalidError as error:
        message = error.message
        assert message
        return
    assert isinstance(mapping, FieldMapping)


@given(ANY_JSON)
def test_flattened_leaves_are_scalars(payload: object) -> None:
    assert all(isinstance(leaf, str | int | float | bool) and leaf != "" for leaf in flatten(payload).values())
