"""French as written in Canada, where it differs from Django's, which takes the h of 13 h 40 for the hour once more."""

TIME_FORMAT = "H\xa0\\h\xa0i"  # 13 h 40
DATETIME_FORMAT = "j F Y, H\xa0\\h\xa0i"
MONTH_DAY_FORMAT = "j N"
SHORT_DATE_FORMAT = "j N Y"  # 26 nov. 2026
SHORT_DATETIME_FORMAT = "j N Y, H\xa0\\h\xa0i"
