from tfrecords_tools.synthetic.signers import make_signer


def test_signer_depends_on_seed_and_index_alone():
    assert make_signer(3, 5) == make_signer(3, 5)
    assert make_signer(3, 5) != make_signer(3, 6)
    assert make_signer(3, 5).looks != make_signer(4, 5).looks


def test_signers_are_plainly_different_people():
    signers = [make_signer(0, index) for index in range(24)]
    assert len({signer.name for signer in signers}) == 24
    assert len({(s.looks.hair_style, s.looks.pattern, s.looks.neckline) for s in signers}) >= 12
    assert {s.habits.rest for s in signers} == {"down", "belly", "below"}


def test_about_fifteen_percent_are_left_handed_in_every_group():
    for first in range(0, 100, 10):
        left_handed = sum(make_signer(0, index).left_handed for index in range(first, first + 24))
        assert 3 <= left_handed <= 4
