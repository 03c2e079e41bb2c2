CREATE TABLE customers (id int PRIMARY KEY, name text NOT NULL, city text, joined date NOT NULL, referrer int);
CREATE TABLE orders (id int PRIMARY KEY, customer_id int NOT NULL, status text NOT NULL, placed timestamptz NOT NULL);
CREATE TABLE order_lines (order_id int, no int, sku text NOT NULL, qty int NOT NULL, price numeric(10,2) NOT NULL, PRIMARY KEY (order_id, no));
CREATE TABLE products (sku text PRIMARY KEY, title text NOT NULL, tags text[] NOT NULL, data jsonb NOT NULL);
CREATE TABLE payments (id int PRIMARY KEY, order_id int NOT NULL, amount numeric(10,2) NOT NULL);

INSERT INTO customers VALUES
  (1, 'Ada', 'London', '2024-01-15', NULL),
  (2, 'Grace', 'New York', '2024-02-01', 1),
  (3, 'Edsger', NULL, '2024-02-29', 1);
INSERT INTO products VALUES
  ('pen', 'Fountain pen', '{office,gift}', '{"colour": "blue", "size": {"mm": 14}}'),
  ('ink', 'Bottle of ink', '{office}', '{"colour": "black", "ml": 50}'),
  ('mug', 'Mug', '{kitchen,gift}', '{"colour": "white"}');
INSERT INTO orders VALUES
  (10, 1, 'paid', '2024-03-01 09:30:00+00'),
  (11, 1, 'open', '2024-03-05 18:00:00+00'),
  (12, 2, 'paid', '2024-03-05 20:15:00+00');
INSERT INTO order_lines VALUES
  (10, 1, 'pen', 1, 24.50),
  (10, 2, 'ink', 2, 6.25),
  (11, 1, 'mug', 4, 9.00),
  (12, 1, 'ink', 1, 6.25);
INSERT INTO payments VALUES (100, 10, 30.00), (101, 10, 7.00), (102, 12, 6.25);
