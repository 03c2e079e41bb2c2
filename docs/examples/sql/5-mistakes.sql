-- # Mistakes
-- A mistake is told when the file is checked: line and column of it in the file (here: in the SQL), what is wrong, and what to write.

-- ## Not supported: A column that is not there
SELECT id, stauts FROM orders;

-- ## Not supported: A name that could mean two columns
SELECT id FROM orders o JOIN customers c ON c.id = o.customer_id;

-- ## Not supported: Types that do not fit
SELECT id + placed FROM orders;

-- ## Not supported: A table that is not there
SELECT id FROM oders;

-- ## Not supported: A column outside of the groups
SELECT customer_id, status, count(*) FROM orders GROUP BY customer_id;

-- ## Not supported: A function that is not there
SELECT uper(name) FROM customers;

-- ## Not supported: A function whose last digits are another machine's
SELECT id, ln(amount) FROM payments;
