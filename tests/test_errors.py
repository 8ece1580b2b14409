"""How much a message repeats of what a file says."""

from linexport.errors import DataError, ParityError

LONG = "n" * 2000


def test_a_long_message_repeats_no_more_of_a_name_than_its_beginning():
    error = DataError(f"'{LONG}' is not one of '{LONG}' and 'x'.", column=LONG)
    shown = f"'{'n' * 100}...'"
    assert str(error) == f"column {shown}: {shown} is not one of {shown} and 'x'."
    assert error.column == LONG


def test_what_stands_between_two_names_is_no_name():
    said = f"'a b)' is Python's own{' and so on' * 30}, not '(c' nor '{LONG}'{' or others' * 10}."
    assert str(DataError(said)) == said.replace(LONG, f"{'n' * 100}...")


def test_of_a_long_line_the_beginning_and_the_end_are_left():
    begin, *_, end = said = [f"word{number}" for number in range(1000)]
    lines = str(ParityError("\n".join([" ".join(said), "short"]))).split("\n")
    assert len(lines[0]) < 720
    assert lines[0].startswith(begin)
    assert lines[0].endswith(end)
    assert lines[1] == "short"


def test_what_an_option_is_given_is_left_whole_where_it_can_be_read():
    names = ",".join(f"a column {n}" for n in range(20))
    said = f"'{'n' * 350}' is text: leave out what is no feature with --exclude '{names}'."
    assert str(DataError(said)) == said.replace("n" * 350, "n" * 100 + "...")
    assert len(str(DataError(said.replace(names, names * 9)))) < 500
