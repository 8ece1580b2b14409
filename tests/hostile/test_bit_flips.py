"""A seeded sample of the bits of a bundle, flipped."""

from hostile import bit_flips


def test_a_bundle_with_a_bit_flipped_is_refused_or_means_the_same():
    found = bit_flips.flip(bit_flips.BUNDLE, flips=500)
    assert sum(outcomes.total() for outcomes in found.values()) == 500
    for name, outcomes in found.items():
        assert outcomes["refused"], name
