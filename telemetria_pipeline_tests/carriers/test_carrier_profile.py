"""Profiles: the shipped ones load, and a wrong key is named with its file and place."""

import pytest
import yaml
from pydantic import BaseModel

from telemetria_pipeline.carriers import profile as module
from telemetria_pipeline.carriers.profile import Profile, ProfileError, load_profile, shipped_profiles

SMALL = {
    "name": "minha",
    "carrier": "Minha",
    "trips": {"path": "/trips"},
    "fields": {"veiculo_id": "v", "saida_utc": "s", "chegada_utc": "e"},
}


@pytest.fixture
def load(tmp_path):
    def write(text):
        file = tmp_path / "minha.yaml"
        file.write_text(text if isinstance(text, str) else yaml.safe_dump(text), encoding="utf-8")
        return load_profile(file)

    return write


def test_the_shipped_profiles_load():
    assert shipped_profiles() == ["geotab", "motive", "navixy", "samsara", "simulator", "traccar"]
    for name in shipped_profiles():
        assert load_profile(name).name == name


def test_a_profile_is_the_same_when_a_capture_kept_it(load):
    own = load({**SMALL, "secrets": ["u", "p"], "auth": {"basic": ["u", "p"]}})
    login = {"path": "/l", "auth": {"basic": ["u", "p"]}, "gives": {"token": "t"}}
    oauth = load({**SMALL, "secrets": ["u", "p"], "login": login})
    for profile in (own, oauth, *map(load_profile, shipped_profiles())):
        again = Profile.model_validate_json(profile.kept())
        assert again == profile and again.sends_auth == profile.sends_auth


def test_a_file_of_ones_own_loads_with_defaults(load):
    profile = load(SMALL)
    assert profile.auth.template == "Bearer {token}"
    assert (profile.window.anchor, profile.window.after_min) == ("overlap", 0)
    assert profile.natural_key == ["veiculo_id", "saida_utc"]
    assert load({**SMALL, "window": {"anchor": "arrival"}}).window.after_min == 720
    assert load({**SMALL, "window": {"anchor": "arrival", "pad_after_min": 5}}).window.after_min == 5


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"paging": {"style": "page"}}, "minha.yaml: paging: unknown key"),
        ({"trips": {"path": "/t", "paging": {"style": "pages"}}}, "minha.yaml: trips.paging: "),
        (
            {"trips": {"path": "/t", "paging": {"style": "cursor"}}},
            "trips.paging.cursor: this key is required",
        ),
        (
            {"trips": {"path": "/t", "paging": {"style": "page", "size": 5}}},
            "trips.paging: size and size_param",
        ),
        (
            {"trips": {"path": "/t", "paging": {"style": "page", "last_page": "short"}}},
            "last_page: short needs size",
        ),
        ({"trips": {"path": "/t", "paging": {"style": "page", "first": "x"}}}, "trips.paging.first: "),
        ({"trips": {"path": "/t", "records": "data["}}, "trips.records: 'data[' is not a JMESPath"),
        ({"trips": {"path": "/t", "params": {"k": "{until}"}}}, "trips: unknown placeholder {until}"),
        ({"trips": {"path": "/{vehicle}"}}, "`vehicles` must say"),
        ({"vehicles": {"path": "/v", "id": "id"}}, "must use {vehicle}"),
        (
            {"trips": {"path": "/{vehicle}"}, "vehicles": {"path": "/{vehicle}", "id": "id"}},
            "cannot use {vehicle} itself",
        ),
        (
            {
                "trips": {"path": "/{vehicle}"},
                "vehicles": {"path": "/v", "id": "id", "stamp": {"saida_utc": "x"}},
            },
            "stamp: saida_utc is not a text column",
        ),
        ({"fields": {**SMALL["fields"], "distancia_km": "d"}}, "did you mean distancia_telemetria_km?"),
        ({"fields": {**SMALL["fields"], "ilegivel": "d"}}, "no column is called 'ilegivel'"),
        ({"fields": {"veiculo_id": "v"}}, "chegada_utc, saida_utc"),
        (
            {"fields": {**SMALL["fields"], "tempo_conducao_s": {"path": "d", "unit": "furlong"}}},
            "tempo_conducao_s.unit: 'furlong' is not a unit here; write one of s, ms",
        ),
        ({"fields": {**SMALL["fields"], "garagem": {"path": "g", "unit": "m"}}}, "none for this column"),
        (
            {"fields": {**SMALL["fields"], "garagem": {"path": "g", "factor": 10}}},
            "garagem.factor",
        ),
        (
            {"fields": {**SMALL["fields"], "garagem": {"pat": "g"}}},
            "fields.garagem.path: this key is required",
        ),
        ({"times": {"zone": "Sao_Paulo"}}, "times.zone: 'Sao_Paulo' is not an IANA time zone"),
        ({"times": {"format": "unix"}}, "times.format: "),
        ({"auth": {"template": "Bearer abc"}}, "auth.template: write {token}"),
        ({"http": {"attempts": 0}}, "http.attempts: "),
        ({"description_pattern": "("}, "description_pattern: not a regular expression"),
        ({"description_pattern": "(a)"}, "name the groups"),
        ({"description_pattern": "(?P<placa>a)"}, "did you mean placa_recebida?"),
        ({"description_pattern": "(?P<saida_utc>a)"}, "saida_utc is not a text column"),
        ({"sentinels": {"odometro": [0]}}, "sentinels"),
        ({"carrier": ""}, "carrier: "),
    ],
)
def test_what_is_wrong_is_named_with_file_and_key(load, changes, says):
    with pytest.raises(ProfileError) as caught:
        load({**SMALL, **changes})
    assert says in str(caught.value)
    assert all(line.startswith("minha.yaml: ") for line in str(caught.value).splitlines())


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("name: [", "not valid YAML"),
        ("- a", "mapping of keys"),
        ("", "mapping of keys"),
        ("name: a\nname: b", "the key 'name' stands twice"),
        ("a: !!python/object/apply:os.getcwd []", "not valid YAML"),
    ],
)
def test_a_file_that_is_no_profile_says_so(load, text, says):
    with pytest.raises(ProfileError, match=f"minha.yaml: .*{says}"):
        load(text)


def test_a_profile_that_does_not_exist_names_those_that_do(tmp_path):
    with pytest.raises(ProfileError, match="geotab, motive, navixy, samsara, simulator, traccar"):
        load_profile("sansara")
    with pytest.raises(ProfileError, match="cannot be read"):
        load_profile(tmp_path)


def test_every_key_says_what_it_means():
    models = [m for m in vars(module).values() if isinstance(m, type) and issubclass(m, BaseModel)]
    for model in [m for m in models if m.__module__ == module.__name__ and m is not Profile] + [Profile]:
        for name, field in model.model_fields.items():
            assert field.description or name == "style", f"{model.__name__}.{name}"
