"""linexport evaluate."""

import json

import pytest


@pytest.fixture
def rows(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("x1,x2,y\n1,0,6.2\n0,1,0.9\n0,0,4.2\n1,1,2.5\n2,1,\n")
    return path


def test_metrics_come_with_standard_errors_beside_a_constant_guess(run, textbook, rows):
    outcome = run("evaluate", textbook, rows)
    assert (outcome.status, outcome.errors) == (0, "")
    lines = outcome.output.splitlines()
    assert lines[0] == f"'y': 4 rows of {rows}, 1 left out for want of a value"
    assert [line.split()[0] for line in lines[2:6]] == ["RMSE", "MAE", "bias", "R2"]
    assert len(lines[2].split()) == 4
    assert lines[6] == "Residuals (truth less prediction)"
    document = json.loads(run("evaluate", "--json", textbook, rows).output)
    assert document["rows_read"] == 5
    found = document["targets"]["y"]
    assert lines[2].split()[1] == f"{found['rmse']['value']:.6g}"
    assert 0 < found["rmse"]["value"] < 0.2 < found["constant_rmse"]


def test_an_rmse_above_the_limit_is_exit_status_1(run, textbook, rows):
    assert run("evaluate", textbook, rows, "--max-rmse", 0.2).status == 0
    outcome = run("evaluate", textbook, rows, "--max-rmse", 0.05)
    assert outcome.status == 1
    assert outcome.errors.startswith("error: the RMSE of 'y' is 0.")
    assert outcome.errors.endswith(", above 0.05.\n")
    assert run("evaluate", textbook, rows, "--max-rmse", 0.05, "--json").status == 1
    assert run("evaluate", textbook, rows, "--max-rmse", -1).status == 2


def test_a_table_without_the_target_is_refused(run, textbook, tmp_path):
    path = tmp_path / "new.csv"
    path.write_text("x1,x2\n1,2\n")
    refused = run("evaluate", textbook, path)
    assert refused.status == 3
    assert "'y'" in refused.only_error
