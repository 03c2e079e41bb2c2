-- # Sets, orders and subqueries

-- ## DISTINCT
SELECT DISTINCT customer_id, status FROM orders;

-- ## DISTINCT ON
SELECT DISTINCT ON (customer_id) customer_id, id, status FROM orders ORDER BY customer_id, placed DESC;

-- ## UNION, INTERSECT, EXCEPT
-- Each also with ALL.
SELECT id FROM customers EXCEPT SELECT customer_id FROM orders;

-- ## UNION ALL
SELECT 'order' AS kind, id FROM orders UNION ALL SELECT 'payment', id FROM payments;

-- ## ORDER BY … LIMIT of a whole view
-- A view is a set of rows: ORDER BY says which rows LIMIT takes. Ties are broken by the row's values, so that the answer is the same everywhere;
-- say ORDER BY a key to have PostgreSQL's.
SELECT id, placed FROM orders ORDER BY placed DESC, id LIMIT 2;

-- ## EXISTS and NOT EXISTS
SELECT c.name FROM customers c WHERE NOT EXISTS (SELECT 1 FROM orders o WHERE o.customer_id = c.id);

-- ## IN and NOT IN
SELECT title FROM products WHERE sku IN (SELECT sku FROM order_lines WHERE qty > 1);

-- ## Scalar subqueries
SELECT o.id, (SELECT sum(qty * price) FROM order_lines l WHERE l.order_id = o.id) AS amount, (SELECT count(*) FROM orders) AS of_all FROM orders o;

-- ## WITH
WITH amounts AS (SELECT order_id, sum(qty * price) AS amount FROM order_lines GROUP BY order_id)
SELECT o.customer_id, sum(a.amount) AS spent FROM orders o JOIN amounts a ON a.order_id = o.id GROUP BY o.customer_id;

-- ## Row values
SELECT order_id, no FROM order_lines WHERE (order_id, no) > (10, 1);

-- ## Not supported: WITH RECURSIVE
WITH RECURSIVE r AS (SELECT id, referrer FROM customers UNION ALL SELECT r.id, c.referrer FROM r JOIN customers c ON c.id = r.referrer) SELECT * FROM r;

-- ## Not supported: LIMIT that is computed
SELECT id FROM orders ORDER BY id LIMIT (SELECT 1);

-- ## Not supported: SELECT … FOR UPDATE
SELECT id FROM orders FOR UPDATE;
