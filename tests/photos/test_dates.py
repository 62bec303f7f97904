"""Dates as metadata and names of files write them, and those that nobody should believe."""

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kadr.photos import dates

NOW = datetime(2024, 6, 1, 12)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2021:07:03 18:05:09", "2021-07-03T18:05:09"),
        ("2021:07:03 18:05", "2021-07-03T18:05:00"),
        ("2021:07:03", "2021-07-03T00:00:00"),
        ("2021-07-03T18:05:09", "2021-07-03T18:05:09"),
        ("2021-07-03 18:05:09.123", "2021-07-03T18:05:09"),
        ("2021-07-03T18:05:09+03:00", "2021-07-03T18:05:09"),
        ("2021-07-03T18:05:09Z", "2021-07-03T18:05:09"),
        ("2021-07-03T18:05+03:00", "2021-07-03T18:05:00"),
        ("2021/07/03 18:05:09", "2021-07-03T18:05:09"),
        ("2021.07.03 18.05.09", "2021-07-03T18:05:09"),
        ("2021: 7: 3 18:05:09", "2021-07-03T18:05:09"),
        ("2021:07:03 06:05:09 PM", "2021-07-03T18:05:09"),
        ("20210703 180509+0300", "2021-07-03T18:05:09"),
        ("20210703", "2021-07-03T00:00:00"),
        ("2021:07:03 23:59:60", "2021-07-03T23:59:59"),
        ("2021:07:03   :  :  ", "2021-07-03T00:00:00"),
        ("1839:08:19 00:00:00", "1839-08-19T00:00:00"),
        ("2024:06:02 09:00:00", "2024-06-02T09:00:00"),  # it is tomorrow there
        ("2024:06:02 13:00:00", None),
        ("2050:12:31 10:00:00", None),
        ("0111:10:04 08:56:44", None),
        ("1825:12:31 10:00:00", None),
        ("0000:00:00 00:00:00", None),
        ("2021:13:03 18:05:09", None),
        ("2021:02:30 18:05:09", None),
        ("2021:07:03 25:05:09", None),
        ("    :  :     :  :  ", None),
        ("2021", None),
        ("yesterday", None),
        ("", None),
        ("٢٠٢١:07:03 18:05:09", None),
    ],
)
def test_in_metadata(text: str, moment: str | None) -> None:
    assert dates.parse(text, NOW) == moment


@pytest.mark.parametrize(
    ("name", "moment"),
    [
        ("IMG-20201018-WA0007.jpg", "2020-10-18T00:00:00"),
        ("VID-20201018-WA0007.jpg", "2020-10-18T00:00:00"),
        ("IMG_20201018_123045.jpg", "2020-10-18T12:30:45"),
        ("20201018_123045(0).jpg", "2020-10-18T12:30:45"),
        ("PXL_20210503_101530123.jpg", "2021-05-03T10:15:30"),
        ("PXL_20210503_101530123.MP.jpg", "2021-05-03T10:15:30"),
        ("20201018123045.jpg", "2020-10-18T12:30:45"),
        ("Screenshot_20210503-101530.png", "2021-05-03T10:15:30"),
        ("Screenshot_2021-05-03-10-15-30-123_com.app.png", "2021-05-03T10:15:30"),
        ("Screenshot 2021-05-03 at 10.15.30.png", "2021-05-03T10:15:30"),
        ("Screenshot 2021-05-03 at 10.15.30\u202fPM.png", "2021-05-03T22:15:30"),
        ("Screenshot 2021-05-03 at 12.15.30 AM.png", "2021-05-03T00:15:30"),
        ("Screenshot from 2021-05-03 10-15-30.png", "2021-05-03T10:15:30"),
        ("Снимок экрана 2021-05-03 в 10.15.30.png", "2021-05-03T10:15:30"),
        ("WhatsApp Image 2020-10-18 at 12.30.45 (1).jpeg", "2020-10-18T12:30:45"),
        ("WhatsApp Image 2020-10-18 at 1.30.45 PM.jpeg", "2020-10-18T13:30:45"),
        ("signal-2020-10-18-123045.jpg", "2020-10-18T12:30:45"),
        ("signal-2020-10-18-12-30-45-678.jpg", "2020-10-18T12:30:45"),
        ("photo_2020-10-18_12-30-45.jpg", "2020-10-18T12:30:45"),
        ("2020-10-18 12.30.45.jpg", "2020-10-18T12:30:45"),
        ("2020-10-18 12.30.jpg", "2020-10-18T12:30:00"),
        ("2020-10-18.jpg", "2020-10-18T00:00:00"),
        ("1985-06-07 grandma.jpg", "1985-06-07T00:00:00"),
        ("2020_10_18 party 2.jpg", "2020-10-18T00:00:00"),
        ("DSC_1234 20501231.jpg", None),
        ("2050-12-31 10.00.00.jpg", None),
        ("20201318_123045.jpg", None),
        ("DSC_20012345.jpg", None),
        ("120201018.jpg", None),
        ("IMG_1234.jpg", None),
        ("holiday.jpg", None),
        ("", None),
    ],
)
def test_in_names(name: str, moment: str | None) -> None:
    assert dates.from_name(name, NOW) == moment


def test_the_future_is_the_clocks_where_nobody_says_another() -> None:
    assert dates.parse("2021:07:03 18:05:09") == "2021-07-03T18:05:09"
    assert dates.parse("9998:07:03 18:05:09") is None


@given(
    text=st.text(max_size=300) | st.from_regex(r"\d{4}.\d\d.\d\d.\d\d.\d\d.\d\d", fullmatch=True)
)
def test_whatever_is_written_there(text: str) -> None:
    for moment in (dates.parse(text, NOW), dates.from_name(text, NOW)):
        assert moment is None or datetime.fromisoformat(moment).year >= dates.EARLIEST
