"""Who may do what, how often."""

from bot.core.rules import Quota, Role, Verdict, may

DAY_S = 86_400.0
EVERYONE = Role("everyone", quotas={"draft": Quota(2, DAY_S)}, cooldowns_s={"draft": 60.0})


def test_an_act_without_a_rule_is_allowed_without_limit() -> None:
    verdict = may("help", [EVERYONE], [], at=0.0)

    assert verdict == Verdict(left=-1)


def test_somebody_without_any_role_may_do_nothing() -> None:
    verdict = may("help", [], [], at=0.0)

    assert verdict == Verdict("role")


def test_a_denied_act_is_refused_whatever_remains() -> None:
    verdict = may("submit", [Role("guest", denied=frozenset({"submit"}))], [], at=0.0)

    assert verdict == Verdict("role")


def test_a_quota_says_what_remains_after_this_act() -> None:
    assert [may("draft", [EVERYONE], used, at=1000.0).left for used in ([], [0.0])] == [1, 0]


def test_a_used_up_quota_is_refused_until_the_oldest_act_is_forgotten() -> None:
    verdict = may("draft", [EVERYONE], [1000.0, 2000.0], at=3000.0)

    assert verdict == Verdict("quota", left=0, wait_s=1000.0 + DAY_S - 3000.0)


def test_acts_outside_the_window_do_not_count() -> None:
    verdict = may("draft", [EVERYONE], [1000.0, 2000.0], at=2000.0 + DAY_S)

    assert verdict == Verdict(left=1)


def test_a_cool_down_is_refused_with_the_time_to_wait() -> None:
    verdict = may("draft", [EVERYONE], [1000.0], at=1045.0)

    assert verdict == Verdict("cooldown", wait_s=15.0)


def test_a_quota_of_nothing_is_always_refused() -> None:
    verdict = may("draft", [Role("guest", quotas={"draft": Quota(0, 60.0)})], [], at=5.0)

    assert verdict == Verdict("quota", left=0, wait_s=60.0)


def test_of_several_roles_the_most_generous_holds() -> None:
    generous = Role("triager")

    assert may("draft", [EVERYONE, generous], [1.0, 2.0, 3.0], at=4.0) == Verdict(left=-1)


def test_of_several_refusals_the_shortest_wait_is_told() -> None:
    strict = Role("guest", quotas={"draft": Quota(1, 10 * DAY_S)})
    verdict = may("draft", [strict, EVERYONE], [1000.0], at=1030.0)

    assert verdict == Verdict("cooldown", wait_s=30.0)
