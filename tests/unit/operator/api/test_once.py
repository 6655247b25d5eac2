from breakwater_operator.api.once import Once


def test_the_same_is_worked_out_once_and_its_equal_anew() -> None:
    asked: list[list[int]] = []

    def total(numbers: list[int]) -> int:
        asked.append(numbers)
        return sum(numbers)

    known, first, equal = Once(total), [1, 2], [1, 2]

    assert [known(first), known(first), known(equal), known([5])] == [3, 3, 3, 5]
    assert asked == [[1, 2], [1, 2], [5]]
