-- Names and companies are made of parts, so that there are as many of them as in life: a few are everywhere, most are rare.
create temporary table generated_facts on commit drop as
select p.n,
       pg_temp.id_at(p.seed, 'contact', p.n, p.created_at) as id,
       case when p.is_known then pg_temp.id_at(p.seed, 'person', p.n, p.created_at) end as person_id,
       p.created_at, p.first_name, p.last_name, p.company_number,
       case when p.company_number is not null then
           (array['Acme','Globex','Initech','Umbra','Northwind','Contoso','Hooli','Vandelay','Wonka','Stark','Cyber','Blue','Red','Green',
                  'Silver','Golden','Rapid','Bright','Prime','Delta','Omega','Alpha','Quantum','Solar','Lunar','Ocean','River','Mountain',
                  'Forest','Desert'])[1 + p.company_number % 30]
           || (array[' Systems',' Labs',' Logistics',' Media',' Foods',' Energy',' Studio',' Health',' Partners',' Works'])
              [1 + p.company_number / 30 % 10]
           || case when p.company_number >= 300 then ' ' || p.company_number else '' end
       end as company,
       lower(p.first_name || '.' || p.last_name) || p.n || '@'
       || case when p.mailbox < 0.45 or p.company_number is null
               then pg_temp.one_of(array['gmail.test','outlook.test','yahoo.test','icloud.test','gmx.test','proton.test','web.test'], p.mailbox_of, 2)
               else 'company' || p.company_number || '.test' end as email,
       p.country_number, p.seed
  from (select g.seed, n, g.at - (g.people - n) * (interval '2 years' / g.people) as created_at,
               pg_temp.one_of(array['James','Mary','Robert','Patricia','John','Jennifer','Michael','Linda','David','Elizabeth','William',
                   'Barbara','Richard','Susan','Joseph','Jessica','Thomas','Sarah','Charles','Karen','Anna','Peter','Julia','Lukas','Emma',
                   'Felix','Marie','Jonas','Sofia','Leon','Hannah','Paul','Clara','Ben','Laura','Max','Nina','Tom','Eva','Jan','Olga','Ivan',
                   'Chen','Wei','Yuki','Hiro','Priya','Arjun','Fatima','Omar','Aisha','Kwame','Ngozi','Chloe','Hugo','Ines','Mateo','Lucia',
                   'Diego','Zoe'], pg_temp.draw(g.seed, 'first', n), 1.6) as first_name,
               (array['Ash','Black','Brook','Carl','Dan','East','Fair','Green','Hart','Kirk','Lang','Mar','Nor','Old','Peter','Rams','Stan',
                      'Thorn','West','York'])[1 + floor(20 * pg_temp.draw(g.seed, 'last', n) ^ 1.5)::int]
               || (array['ton','ley','son','wood','field','worth','man','berg','stein','well','ford','ham','by','ings','er','mann','feld','ski',
                         'sen','ez'])[1 + floor(20 * pg_temp.draw(g.seed, 'name', n) ^ 1.3)::int] as last_name,
               case when pg_temp.draw(g.seed, 'employed', n) < 0.85
                    then floor(20000 * pg_temp.draw(g.seed, 'company', n) ^ 3)::int end as company_number,
               pg_temp.draw(g.seed, 'mailbox', n) as mailbox, pg_temp.draw(g.seed, 'provider', n) as mailbox_of,
               pg_temp.draw(g.seed, 'known', n) < 0.7 as is_known,
               floor(30 * pg_temp.draw(g.seed, 'country', n) ^ 3.5)::int as country_number
          from generating g
         cross join lateral generate_series(1, g.people) as n) as p;

insert into generated_people (n, id, person_id, email, created_at)
select n, id, person_id, email, created_at from generated_facts;

insert into persons (organization_id, id, first_name, last_name, city, region, country, company, profession, timezone, score, created_at)
select g.organization_id, k.person_id, k.first_name, k.last_name, k.city, k.region, k.country, k.company, k.profession, k.timezone,
       round(100.0 * (20 + 35 + 10 * num_nonnulls(k.city, k.region, k.country, k.company, k.profession)
                      + case when pg_temp.draw(g.seed, 'persona', k.n) < 0.3 then 40 else 0 end) / 145), k.created_at
  from generating g
 cross join (
       select f.*,
              case when pg_temp.draw(f.seed, 'city?', f.n) < 0.8 then
                  (array['Springfield','Riverside','Franklin','Greenville','Bristol','Clinton','Fairview','Salem'])
                  [1 + floor(8 * pg_temp.draw(f.seed, 'city', f.n) ^ 2)::int] || ' ' || c.country end as city,
              case when pg_temp.draw(f.seed, 'region?', f.n) < 0.6 then
                  c.country || ' ' || (array['North','South','East','West'])[1 + floor(4 * pg_temp.draw(f.seed, 'region', f.n))::int] end as region,
              case when pg_temp.draw(f.seed, 'country?', f.n) < 0.95 then c.country end as country,
              case when pg_temp.draw(f.seed, 'work?', f.n) < 0.75 then
                  pg_temp.one_of(array['Engineer','Manager','Sales Director','Consultant','Teacher','Nurse','Designer','Accountant','Founder',
                      'Analyst','Lawyer','Physician','Architect','Researcher','Chef','Journalist','Translator','Pilot','Luthier','Falconer'],
                      pg_temp.draw(f.seed, 'work', f.n), 2.5) end as profession,
              case when pg_temp.draw(f.seed, 'zone?', f.n) < 0.5 then c.timezone end as timezone
         from generated_facts f
        cross join lateral (
              select (array['US','GB','DE','FR','CA','AU','NL','ES','IT','IN','BR','SE','CH','AT','JP','IE','BE','PL','DK','NO','FI','PT','NZ',
                            'SG','ZA','MX','CZ','GR','EE','IS'])[1 + f.country_number] as country,
                     (array['America/New_York','Europe/London','Europe/Berlin','Europe/Paris','America/Toronto','Australia/Sydney',
                            'Europe/Amsterdam','Europe/Madrid','Europe/Rome','Asia/Kolkata','America/Sao_Paulo','Europe/Stockholm',
                            'Europe/Zurich','Europe/Vienna','Asia/Tokyo','Europe/Dublin','Europe/Brussels','Europe/Warsaw',
                            'Europe/Copenhagen','Europe/Oslo','Europe/Helsinki','Europe/Lisbon','Pacific/Auckland','Asia/Singapore',
                            'Africa/Johannesburg','America/Mexico_City','Europe/Prague','Europe/Athens','Europe/Tallinn',
                            'Atlantic/Reykjavik'])[1 + f.country_number] as timezone) as c
        where f.person_id is not null) as k;

insert into contacts (organization_id, id, email, first_name, last_name, name, company, status, timezone, custom, import_batch_id, person_id,
                      source, created_at)
select g.organization_id, f.id, f.email,
       case when not f.is_whole then f.first_name end, case when not f.is_whole then f.last_name end,
       case when f.is_whole then f.first_name || ' ' || f.last_name end, f.company,
       case when f.fate < 0.78 then 'active' when f.fate < 0.93 then 'contacted' when f.fate < 0.96 then 'replied'
            when f.fate < 0.98 then 'bounced' else 'unsubscribed' end,
       case when pg_temp.draw(g.seed, 'timezone', f.n) < 0.4
            then pg_temp.one_of(array['America/New_York','Europe/London','Europe/Berlin','Europe/Paris','Australia/Sydney','Atlantic/Reykjavik'],
                                pg_temp.draw(g.seed, 'zone', f.n), 3) end,
       jsonb_strip_nulls(jsonb_build_object(
           'plan', case when pg_temp.draw(g.seed, 'plan?', f.n) < 0.6
                        then pg_temp.one_of(array['Free','Basic','Pro','Enterprise','Legacy'], pg_temp.draw(g.seed, 'plan', f.n), 4) end,
           'seats', case when pg_temp.draw(g.seed, 'seats?', f.n) < 0.3 then floor(500 * pg_temp.draw(g.seed, 'seats', f.n) ^ 4) end,
           'vip', case when pg_temp.draw(g.seed, 'vip', f.n) < 0.02 then true end,
           'renewal', case when pg_temp.draw(g.seed, 'renewal?', f.n) < 0.2
                           then (g.at + pg_temp.draw(g.seed, 'renewal', f.n) * interval '1 year')::date end)),
       i.id, f.person_id, case when i.id is null then 'api' else 'import' end, f.created_at
  from generating g
 cross join (select *, pg_temp.draw(seed, 'whole', n) < 0.05 as is_whole, pg_temp.draw(seed, 'fate', n) as fate,
                    1 + n * 20 / (select people + 1 from generating) as import_number, pg_temp.draw(seed, 'source', n) as source
               from generated_facts) as f
  left join import_batches i on i.organization_id = g.organization_id and f.source < 0.97
        and i.file_name = format('people-%s.csv', f.import_number)
 order by f.n;
