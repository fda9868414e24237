select max(value) filter (where (category, key) = ('oidc', 'providers')) as providers,
       max(value) filter (where (category, key) = ('mail', 'console_url')) as console_url
  from system_config
 where (category, key) in (('oidc', 'providers'), ('mail', 'console_url'));
