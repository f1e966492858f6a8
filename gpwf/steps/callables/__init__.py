"""Functions of others, named by ``package.module:function``: found, read, checked, called."""
