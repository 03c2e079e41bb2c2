import fc from 'fast-check';
import { beforeAll, expect, it } from 'vitest';
import { loadSqlParser } from '../../../views/sql/bind.ts';
import { describePostgres } from '../../servers/suite.ts';
import { answerOf, differences } from './select-list.ts';
import { fromTemplates } from './templates.ts';

const pools: Record<string, readonly string[]> = {
  time: [
    "'2026-01-31 12:34:56.789012'",
    "'2000-02-29'",
    "'1999-12-31 23:59:59.999999'",
    "'0044-03-15 01:02:03 BC'",
    "'infinity'",
    "'-infinity'",
    "'2024-12-30 00:00:00.5'",
    "'1969-07-20 20:17:40'",
    "'0001-01-01'",
    "'9999-12-31 12:00'",
    "'294276-12-31 23:59:59.999999'",
    "'4713-11-24 00:00:00 BC'",
    "'1582-10-15'",
    "'2026-03-29 02:30'",
    "'2026-10-25 02:30'",
  ],
  stamp: ['timestamp {{time}}', 'timestamptz {{time}}'],
  day: ['(timestamp {{time}})::date'],
  clock: ["time '00:00'", "time '12:34:56.7'", "time '24:00'", "time '23:59:59.999999'"],
  span: [
    "interval '1 mon'",
    "interval '-1 mon'",
    "interval '1 year 2 mons 3 days 04:05:06.789'",
    "interval '-3 days +02:00:00'",
    "interval '00:00:00.000001'",
    "interval '-1 day'",
    "interval 'infinity'",
    "interval '-infinity'",
    "interval '100 years'",
    "interval '1 mon -1 day +01:00'",
    "interval '25:00:00'",
    "interval '-1 year -11 mons -29 days -23:59:59.5'",
    "interval '0'",
    "interval '1000000 days'",
    "interval '178000000 years'",
    "interval '90' day",
    "interval '1-2' year to month",
    "interval '1 2:3:4.5678' day to second(2)",
  ],
  field: [
    ...['microseconds', 'milliseconds', 'second', 'minute', 'hour', 'day', 'week', 'month', 'quarter', 'year'],
    ...['decade', 'century', 'millennium', 'epoch', 'dow', 'isodow', 'doy', 'isoyear', 'julian', 'timezone', 'ms'],
  ],
  zone: [
    "'Europe/Berlin'",
    "'America/New_York'",
    "'UTC'",
    "'Asia/Kathmandu'",
    "'Australia/Lord_Howe'",
    "interval '-02:30'",
  ],
  factor: ['2', '-1', '0.5', '1.7', '0', '3.333333333', '-0.1', "'infinity'", "'nan'", '1e9'],
  compare: ['=', '<>', '<', '<=', '>', '>='],
  pattern: [
    ...["'YYYY-MM-DD HH24:MI:SS.US'", "'FMYYYY-FMMM-FMDD'", "'Day, DDth Month YYYY'", "'FMDay, FMDDth FMMonth'"],
    ...[
      "'DY Dy dy MON Mon mon'",
      "'HH12:MI AM'",
      "'HH:MI p.m.'",
      "'IYYY-IW-ID'",
      "'IYY IY I'",
      "'DDD D ID W WW Q CC J'",
    ],
    ...["'IDDD'", `'"quoted text" YYYY'`, `'YYYY\\"MM'`, "'Y,YYY'", "'YYY YY Y'", "'RM rm FMRM'", "'TZ tz TZH TZM OF'"],
    ...[
      "'MS US FF1 FF3 FF6'",
      "'SSSS SSSSS'",
      "'BC ad B.C.'",
      "'YYYYMMDDHH24MISS'",
      "'Mi Ss'",
      "'YYYYTH'",
      "''",
      "'abc'",
    ],
    ...["'TMMonth'", `'HH24"h"MI"m"'`, `'YYYY"年"MM"月"'`],
  ],
  spanPattern: ["'YYYY MM DD HH24:MI:SS.US'", "'HH12 SSSS Q DDD W WW CC Y YY YYY Y,YYY RM FMHH24 MS'", "'Day'"],
  written: [
    ...["'2026-01-31','YYYY-MM-DD'", "'20260131','YYYYMMDD'", "'31 Jan 2026','DD Mon YYYY'", "'2026 31','YYYY DDD'"],
    ...["'January 31, 2026','Month DD, YYYY'", "'31/01/26','DD/MM/YY'", "'1/2/2026','DD/MM/YYYY'"],
    ...["'2026-13-01','YYYY-MM-DD'", "'2026-02-30','YYYY-MM-DD'", "'abc','YYYY'", "'2026','YYYY'", "'12:34','HH24:MI'"],
    ...[
      "'2026-01-31T12:34:56',E'YYYY-MM-DD\\\"T\\\"HH24:MI:SS'",
      "'05 PM','HH12 AM'",
      "'13 PM','HH12 AM'",
      "'2451545','J'",
    ],
    ...[
      "'2026-01-31 12:34:56.789','YYYY-MM-DD HH24:MI:SS.MS'",
      "'2026/01/31','YYYY-MM-DD'",
      "'99','YY'",
      "'099','YYY'",
    ],
    ...[
      "'44-03-15 BC','YYYY-MM-DD BC'",
      "'2026-01-31 12:00+05:30','YYYY-MM-DD HH24:MITZH:TZM'",
      "'1st 2026','DDth YYYY'",
    ],
    ...[
      "'','YYYY'",
      "'2026013112','YYYYMMDDHH24'",
      "'Wed 31 Jan 2026','Dy DD Mon YYYY'",
      "'1,234','Y,YYY'",
      "'20261','YYYYMM'",
    ],
  ],
  stampText: [
    ...[
      '2026-01-31T12:00:00Z',
      '12/31/1999 23:59:60',
      'Jan 8, 1999 04:05:06 AM',
      '8 January 1999 04:05 PM',
      '20260131T040506',
    ],
    ...[
      '2026-02-30',
      '2026-13-01',
      'abc',
      '',
      '2026-01-31 24:00:00',
      '2026-01-31 25:00:00',
      '1999-Jan-08',
      '08-Jan-1999',
    ],
    ...[
      '2026-01-31 12:00:00+02',
      '2026-01-31 12:00 Europe/Berlin',
      '2026-07-01 12:00 PST',
      'J2451545',
      '2026-1-5 3:4:5',
    ],
    ...['2026-01-31 12:00:00.1234567', '1/2/03', '2026-01-31 12:00:00-05:30', 'Sat Jan 31 12:00:00 2026', 'epoch'],
  ],
  spanText: [
    ...['1 day', '1.5 days', '1.5 years', '1.3 months', '1h', '2 hours ago', '@ 1 minute 2 secs ago', '1-2', '-1-2'],
    ...['1 12:59:10', 'P1Y2M3DT4H5M6S', 'P1W', '3 weeks', '1 fortnight', '', '12', '1:02.5', '0.1 mon', '1.7 weeks'],
    ...['2147483648 mons', '00:60:00', '1 day -00:00:01', '3 days 4', '.5 h', '1e3 s', '9999999999 hours', '0.5 us'],
  ],
};

const templates = [
  'extract({{field}} from {{stamp}})',
  "date_part('{{field}}', {{stamp}})",
  'extract({{field}} from {{day}})',
  'extract({{field}} from {{span}})',
  "date_part('{{field}}', {{span}})",
  'extract({{field}} from {{clock}})',
  "date_trunc('{{field}}', {{stamp}})",
  "date_trunc('{{field}}', {{span}})",
  "date_trunc('{{field}}', timestamptz {{time}}, 'Europe/Berlin')",
  '{{stamp}} at time zone {{zone}}',
  '{{stamp}} + {{span}}',
  '{{span}} + {{stamp}}',
  '{{stamp}} - {{span}}',
  '{{day}} + {{span}}',
  '{{day}} + {{clock}}',
  '{{day}} - {{day}}',
  '{{day}} + 31',
  '{{clock}} + {{span}}',
  '{{clock}} - {{span}}',
  '{{clock}} - {{clock}}',
  '{{span}} + {{span}}',
  '{{span}} - {{span}}',
  '- {{span}}',
  '{{span}} * {{factor}}::float8',
  '{{span}} / {{factor}}::float8',
  'timestamp {{time}} - timestamp {{time}}',
  'age({{stamp}}, {{stamp}})',
  '{{stamp}} {{compare}} {{stamp}}',
  '{{day}} {{compare}} {{stamp}}',
  '{{span}} {{compare}} {{span}}',
  '{{clock}} {{compare}} {{clock}}',
  '({{stamp}})::date',
  '({{stamp}})::time',
  '({{stamp}})::timestamp(2)',
  '({{stamp}})::timestamptz',
  '({{span}})::time',
  '({{span}})::interval(1)',
  'justify_hours({{span}})',
  'justify_days({{span}})',
  'justify_interval({{span}})',
  'to_char({{stamp}}, {{pattern}})',
  'to_char({{span}}, {{spanPattern}})',
  'to_date({{written}})',
  'to_timestamp({{written}})',
  "'{{stampText}}'::text::timestamp",
  "'{{stampText}}'::text::timestamptz",
  "'{{stampText}}'::text::date",
  "'{{spanText}}'::text::interval",
  'to_timestamp({{factor}}::float8)',
  "date_bin('15 minutes', {{stamp}}, {{stamp}})",
];

beforeAll(loadSqlParser);

describePostgres('dates, times and intervals', (database) => {
  it('are computed, read and printed as PostgreSQL does', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fromTemplates(templates, pools), { minLength: 300, maxLength: 300 }),
        async (expressions) => {
          expect(await differences(database, expressions)).toEqual([]);
        },
      ),
      { numRuns: 3, endOnFailure: true },
    );
  });
});

it('refuse words whose meaning depends on the clock', () => {
  for (const word of ['now', 'today', 'tomorrow', 'yesterday']) {
    expect(answerOf(`'${word}'::timestamp`)).toBe('!refused');
    expect(answerOf(`'${word}'::text::date`)).toBe(`!22007 invalid input syntax for type date: "${word}"`);
  }
});
