"""A table as it is, whose one error is pasted back until the model is proven."""

import datetime as dt
import json
import re
import shlex

import numpy as np
import polars as pl
import pytest

import linexport

NUM_ROWS = 120
OPTIONS = re.compile(r"--[a-z-]+ (?:'[^']*'|[^\s;,]+(?:,[^\s;,]+)*)")


def options_in(line):
    """Return what somebody pastes from a message."""
    return [word for option in OPTIONS.findall(line) for word in shlex.split(option)]


@pytest.mark.parametrize("changed", ["one more", "another name"])
def test_files_of_a_lake_that_differ_in_columns_train_when_it_is_pasted(run, tmp_path, changed):
    """What one file alone has is left out, and a file may have it when predicting."""
    lake, bundle = tmp_path / "lake", tmp_path / "bundle"
    lake.mkdir()
    rows = pl.DataFrame({"area": range(20), "age": [3, 1] * 10, "price": range(5, 25)})
    rows.write_parquet(lake / "a.parquet")
    other = rows.rename({"age": "age_years"}) if changed == "another name" else rows
    other.with_columns(garden=True).write_parquet(lake / "b.parquet")
    command = ["train-and-export", "--data", lake, "--target", "price", "-o", bundle]
    refused = run(*command)
    assert refused.status == 3
    assert "which other files have; leave out what is not in each file" in refused.only_error
    done = run(*command, *options_in(refused.only_error.rstrip(".")))
    assert done.status == 0, done.errors
    assert run("predict", bundle, lake, "-o", tmp_path / "out.csv", "--quiet").status == 0
    assert run("describe", lake).only_error.endswith("; describe those of one kind at a time.")


def test_a_rare_level_that_only_the_test_has_trains_when_it_is_pasted(run, tmp_path):
    """One villa among 60 homes: kept out of training it is priced as a flat, the reference."""
    table, bundle = tmp_path / "homes.csv", tmp_path / "bundle"
    kinds = ["flat", "flat", "house"] * 20
    homes = pl.DataFrame({"kind": [*kinds[1:], "villa"], "area": [7 * n % 60 for n in range(60)]})
    homes = homes.with_columns(price=2 * pl.col("area") + 9 * (pl.col("kind") == "house"))
    homes.write_csv(table)
    command = ["train-and-export", "--data", table, "--target", "price", "-o", bundle]
    command += ["--categorical", "kind", "--test-fraction", "0.3", "--overwrite"]
    tried = ((seed, run(*command, "--seed", seed)) for seed in range(20))
    seed, refused = next((seed, outcome) for seed, outcome in tried if outcome.status)
    assert "'kind[villa]' is constant. No row that is trained on has" in refused.only_error
    pasted = options_in(refused.only_error.rstrip("."))
    assert run(*command, "--seed", seed, *pasted).status == 0
    predicted = linexport.load(bundle).predict({"kind": ["villa", "flat"], "area": [10.0, 10.0]})
    assert np.allclose(predicted, 20.0, atol=1e-3)


@pytest.mark.parametrize(
    "written", ["{:,.2f} EUR", "${:,.0f}", "CHF {:.2f}", "{:,.0f}€", "{:.0f} k"]
)
def test_a_target_with_its_currency_trains_when_it_is_pasted(run, tmp_path, written):
    area = [20.5 + number for number in range(70)]
    prices = [written.format(1000 * each + number % 3) for number, each in enumerate(area)]
    pl.DataFrame({"area": area, "price": prices}).write_csv(table := tmp_path / "homes.csv")
    command = ["train-and-export", "--data", table, "--target", "price", "-o", tmp_path / "b"]
    refused = run(*command)
    pasted = options_in(refused.only_error)
    assert "--strip" in pasted
    done = run(*command, *pasted, "--json")
    assert done.status == 0, done.errors
    (fit,) = json.loads(done.output)["coefficients"].values()
    assert round(fit["features"]["area"]) == 1000


@pytest.mark.parametrize("written", ["({})", "{}-", "\u2212{}", "($1,{}.00)"])
def test_losses_written_as_accounts_are_trained_on_when_it_is_pasted(run, tmp_path, written):
    """y = 2 profit + 1; a loss that was taken for no value would be filled in."""
    profits, size = range(-30, 30), 1000 if "," in written else 0
    cells = [written.format(f"{-p:03}") if p < 0 else str(p) for p in profits]
    y = [2 * (p - size * (p < 0)) + 1 for p in profits]
    pl.DataFrame({"profit": cells, "y": y}).write_csv(table := tmp_path / "accounts.csv")
    command = ["train-and-export", "--data", table, "--target", "y", "-o", tmp_path / "b"]
    refused = run(*command).only_error
    assert "'profit' has " in refused
    assert "--missing" not in refused
    done = run(*command, *options_in(refused), "--json")
    assert done.status == 0, done.errors
    assert round(json.loads(done.output)["coefficients"]["y"]["features"]["profit"], 9) == 2


@pytest.mark.parametrize(("order", "form"), [("dmy", "%d.%m.%Y"), ("mdy", "%m/%d/%Y")])
def test_dates_that_end_in_the_year_are_pasted_as_days(run, tmp_path, order, form):
    days = [dt.date(2024, 1, 17) + dt.timedelta(5 * n) for n in range(40)]
    rows = [f"{day.strftime(form)},{n % 7},{3 * n + n % 7}\n" for n, day in enumerate(days)]
    (table := tmp_path / "t.csv").write_text("day,x,y\n" + "".join(rows))
    command = ["train-and-export", "--data", table, "--target", "y", "-o", tmp_path / "b"]
    pasted = options_in(run(*command).only_error)
    assert pasted == ["--date", "day=days-since:2024-01-17", "--date-order", order]
    done = run(*command, *pasted, "--json")
    assert done.status == 0, done.errors
    (fit,) = json.loads(done.output)["coefficients"].values()
    assert round(fit["features"]["day"], 9) == 0.6
    command = ["predict", tmp_path / "b", table, "-o", tmp_path / "y.csv"]
    assert f"read it as 2024-01-17 (--date-order {order})" in run(*command).only_error
    assert run(*command, "--date-order", order).status == 0


def test_words_for_a_missing_number_and_the_ends_of_a_scale_are_pasted(run, tmp_path):
    """Two words, each many times, are no reason to leave the column out; 5+ is a value."""
    ages = [("unknown", "refused")[n % 2] if n % 10 > 7 else n % 61 for n in range(200)]
    rates = [("<2", 2, 3, 4, "5+")[n % 5] for n in range(200)]
    y = [n % 61 * 2 + n % 5 for n in range(200)]
    rows = zip(ages, rates, y, strict=True)
    (table := tmp_path / "t.csv").write_text(
        "age,rate,y\n" + "".join(f"{age},{rate},{y}\n" for age, rate, y in rows)
    )
    command = ["train-and-export", "--data", table, "--target", "y", "-o", tmp_path / "b"]
    pasted = options_in(run(*command).only_error)
    assert pasted[:4] == ["--categorical", "rate", "--null-values", "unknown,refused"]
    done = run(*command, *pasted, "--json")
    assert done.status == 0, done.errors
    (fit,) = json.loads(done.output)["coefficients"].values()
    assert {"age", "rate[5+]"} < fit["features"].keys()


def test_what_no_option_takes_for_no_value_is_not_filled_in(run, tmp_path):
    (table := tmp_path / "t.csv").write_text('x,y\n1,1\n"n,a",2\n3,3\n"k,a",2\n5,5\n')
    refused = run("train-and-export", "--data", table, "--target", "y", "-o", tmp_path / "b")
    assert "correct 'n,a', 'k,a'; linexport describe" in refused.only_error


def test_a_pattern_without_quotes_is_told_as_such(run, tmp_path):
    names = [tmp_path / f"part-{number}.csv" for number in range(3)]
    misused = run("train-and-export", "--target", "y", "--data", *names)
    assert misused.status == 2
    assert "part-2.csv). Put a pattern in quotes: --data 'part-*.csv'." in misused.errors
    misused = run("train-and-export", names[0], "--target", "y")
    assert "part-0.csv). Name a table with --data TABLE." in misused.errors


def test_no_table_is_left_out_where_two_are_named(run, tmp_path):
    misused = run("train-and-export", "--data", "a.csv", "--data=b.csv", "--target", "y")
    assert misused.status == 2
    assert "--data is given twice. Name a directory, or a pattern" in misused.errors


@pytest.fixture
def houses(tmp_path):
    random = np.random.default_rng(5)
    kind = random.choice(["flat", "house", "villa"], NUM_ROWS)
    area = random.uniform(30, 200, NUM_ROWS).round(1)
    days = random.integers(0, 900, NUM_ROWS)
    price = 3 * area + 40 * (kind == "house") + 90 * (kind == "villa") + days / 100
    table = pl.DataFrame(
        {
            "Listed On": pl.Series(18_262 + days).cast(pl.Date),
            "kind": kind,
            "area": area,
            "age": random.integers(0, 80, NUM_ROWS),
            "heating": random.choice(["gas", "oil"], NUM_ROWS),
            "remarks": [f"no. {number}" for number in range(NUM_ROWS)],
            "price": price + random.normal(0, 1, NUM_ROWS),
        }
    ).with_row_index("row")
    table = table.with_columns(
        age=pl.when(pl.col("row") % 9 != 4).then("age"),
        heating=pl.when(pl.col("row") % 20 != 7).then("heating"),
    ).drop("row")
    table.write_csv(tmp_path / "houses.csv")
    return tmp_path / "houses.csv"


def test_what_the_error_says_trains_when_it_is_pasted(run, houses, tmp_path):
    command = ["train-and-export", "--data", houses, "--target", "price", "-o", tmp_path / "b"]
    refused = run(*command)
    assert refused.status == 3
    (line,) = refused.errors.splitlines()
    pasted = options_in(line)
    assert pasted[::2] == ["--date", "--categorical", "--exclude", "--missing", "--missing"]
    done = run(*command, *pasted)
    assert done.status == 0, done.errors
    for name in ("kind[house]", "kind[villa]", "heating[missing]", "Listed On", "age"):
        assert re.search(rf"^  {re.escape(name)} ", done.output, re.MULTILINE), name
    out = tmp_path / "out.csv"
    assert run("predict", tmp_path / "b", houses, "-o", out, "--quiet").status == 0
    predicted, price = pl.read_csv(out)["price"], pl.read_csv(houses)["price"]
    assert float((predicted - price).std() or 0) < 2


@pytest.mark.parametrize("others", ["", ",2024-01-0{},{}"])
def test_a_bad_word_in_the_target_is_pasted_away_as_one_in_a_feature_is(run, tmp_path, others):
    names, words = ("rides,temp" + ",day,kind" * bool(others)), {7: "closed", 9: "closed"}
    rows = [
        f"{words.get(n, 100 + 3 * n)},{20 + n * n % 9}{others.format(n % 9 + 1, 'ab'[n % 2])}"
        for n in range(40)
    ]
    table, bundle = tmp_path / "rides.csv", tmp_path / "b"
    table.write_text("\n".join([names, *rows]))
    command = ["train-and-export", "--data", table, "--target", "rides", "-o", bundle]
    (line,) = run(*command).errors.splitlines()
    pasted = options_in(line)
    assert pasted[-4:] == ["--null-values", "closed", "--missing", "rides=drop"]
    done = run(*command, *pasted, "--json")
    assert done.status == 0, done.errors
    assert json.loads(done.output)["rows_dropped"] == 2


def test_words_among_decimal_commas_are_told_with_how_to_read_the_commas(run, tmp_path):
    words = {7: ("k.A.", "1,5"), 9: ("2,5", "storniert"), 11: ("3,5", "storniert")}
    rows = [";".join(words.get(n, (f"{n % 9},5", f"{100 + 3 * n},25"))) for n in range(40)]
    table = tmp_path / "sales.csv"
    table.write_text("\n".join(["weight;price", *rows]))
    command = ["train-and-export", "--data", table, "--target", "price", "-o", tmp_path / "b"]
    (line,) = run(*command).errors.splitlines()
    assert "'price' is a number with a comma but for 2 of its values ('storniert')" in line
    pasted = options_in(line)
    assert pasted[:4] == ["--decimal", ",", "--null-values", "k.A.,storniert"]
    done = run(*command, *pasted, "--json")
    assert done.status == 0, done.errors
    assert json.loads(done.output)["rows_dropped"] == 2


def test_what_is_missing_of_truth_values_stays_so_when_a_word_is_taken_for_none(run, tmp_path):
    """The option replaces the usual spellings, so that it has to repeat them."""
    gardens = {5: "NA"} | {n: ("true", "false")[n % 2] for n in range(20) if n != 5}
    prices = [f"{n}" if n not in (3, 8) else "closed" for n in range(20)]
    rows = [f"{n * n % 7},{gardens[n]},{prices[n]}" for n in range(20)]
    table = tmp_path / "t.csv"
    table.write_text("\n".join(["x,garden,y", *rows]))
    command = ["train-and-export", "--data", table, "--target", "y", "-o", tmp_path / "b"]
    done = run(*command, "--missing", "garden=zero", *options_in(run(*command).only_error))
    assert done.status == 0, done.errors


@pytest.mark.parametrize("value", ["no such thing " * 400, "3" + 9 * "\0", "3\x1b[2J"])
def test_a_value_that_nobody_types_is_no_option_to_paste(run, tmp_path, value):
    table = tmp_path / "table.csv"
    table.write_text(f"kind,y\na,3\n4,5\nb,{value}\n")
    done = run("train-and-export", "--data", table, "--target", "y", "-o", tmp_path / "b")
    assert done.status == 3
    assert len(done.errors.replace(str(table), "")) < 400
    assert "correct '" in done.errors
    assert "--null-values" not in done.errors
    assert done.errors.rstrip("\n").isprintable()


def test_bad_words_of_several_columns_are_units_in_the_first_row_only(run, tmp_path):
    """Elsewhere each column is kept, the targets among them, by what is pasted once."""
    table, bundle = tmp_path / "t.csv", tmp_path / "b"
    words = {(3, "y"): "bad", (5, "z"): "bad", (7, "x"): "12 (est)"}
    sizes = {"x": 7, "y": 11, "z": 13}
    rows = [
        ",".join(words.get((n, name), str(n * n % size)) for name, size in sizes.items())
        + f",{'ab'[n % 2]}"
        for n in range(40)
    ]
    table.write_text("\n".join(["x,y,z,kind", *rows]))
    command = ["train-and-export", "--data", table, "--target", "y,z", "-o", bundle]
    (line,) = run(*command).errors.splitlines()
    assert "units" not in line
    pasted = options_in(line)
    done = run(*command, *pasted, "--json")
    assert done.status == 0, done.errors
    assert json.loads(done.output)["rows_dropped"] == 2


def test_a_column_that_is_left_out_leaves_how_to_read_the_others(run, tmp_path):
    rows = [f"{n * n % 7};$4,{200 + n}.50;{n},25" for n in range(20)]
    (tmp_path / "t.csv").write_text("\n".join(["x;price;y", *rows]))
    command = [
        "train-and-export",
        "--data",
        tmp_path / "t.csv",
        "--target",
        "y",
        "-o",
        tmp_path / "b",
    ]
    (line,) = run(*command, "--exclude", "price").errors.splitlines()
    assert "read 'y' with --decimal ','" in line
    assert run(*command, "--exclude", "price", "--decimal", ",").status == 0


def test_text_among_weights_is_not_told_to_be_excluded(run, tmp_path):
    (tmp_path / "t.csv").write_text("x,w,y\n1,1,2\n2,two,3\n3,1,5\n")
    options = ["--target", "y", "--weights", "w", "-o", tmp_path / "b"]
    refused = run("train-and-export", "--data", tmp_path / "t.csv", *options)
    assert "row 2: 'two' is not a number; correct it, or choose other weights." in refused.errors


def test_a_column_that_is_to_be_left_out_is_not_to_be_filled_in(run, tmp_path):
    rows = [{"x": f"{n}.5", "s": f"no. {n}", "y": n} for n in range(20)]
    rows[4] = {"x": "4.5", "y": 4}
    (tmp_path / "t.jsonl").write_text("\n".join(map(json.dumps, rows)))
    command = ["train-and-export", "--data", tmp_path / "t.jsonl", "--target", "y"]
    (line,) = run(*command, "-o", tmp_path / "b").errors.splitlines()
    assert ("--exclude s" in line, "--missing" in line) == (True, False)


def test_an_unknown_level_is_one_line_with_the_row_and_the_nearest(run, houses, tmp_path):
    options = ["--categorical", "kind", "--features", "kind,area"]
    command = ["train-and-export", "--data", houses, "--target", "price", "--quiet", *options]
    assert run(*command, "-o", tmp_path / "b").status == 0
    (tmp_path / "new.csv").write_text("area,kind\n50,house\n60,hause\n")
    refused = run("predict", tmp_path / "b", tmp_path / "new.csv")
    assert refused.status == 3
    assert "column 'kind', row 2: 'hause' is no level" in refused.errors
    assert "the nearest is 'house'" in refused.errors
    pasted = options_in(refused.only_error.rstrip("."))
    assert run(*command, *pasted, "-o", tmp_path / "c").status == 0
    assert run("predict", tmp_path / "c", tmp_path / "new.csv").status == 0


@pytest.mark.parametrize(
    ("options", "status", "said"),
    [
        (("--missing", "guess"), 2, "missing must be drop, error, mean, median, zero, level or"),
        (("--categorical", "kin"), 3, "There is no column 'kin'; did you mean 'kind'?"),
        (("--date", "kind=2020-01-01"), 2, "date must be NAME=days-since:DATE"),
        (("--reference", "kind=flat"), 2, "so add --categorical kind"),
        (("--date", "price=days-since:2020-01-01"), 2, "'price' is no feature, so it cannot be"),
        (("--reference", "price=1"), 2, "'price' is no feature, so it cannot have a reference."),
        (("--date", "pric=days-since:2020-01-01"), 3, "There is no column 'pric'; did you mean"),
    ],
)
def test_misuse_is_told_apart_from_a_table_that_cannot_be_used(
    run, houses, tmp_path, options, status, said
):
    outcome = run(
        "train-and-export", "--data", houses, "--target", "price", "-o", tmp_path / "b", *options
    )
    assert outcome.status == status
    assert said in " ".join(outcome.errors.split())
